"""A text as a synthesiser may get it: commands, tags and pictures out, notation and titles as they are said.

    >>> pieces_of("-w/tmp/x <break/> $5")
    ['-w/tmp/x 5 dollars']

Synthesisers read "$5" as "dollar five", and 3/4 as "three slash four" (``notation``). Numbers stay digits, which they read
well. English.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata

from adasr_trl.speech.markup import with_entities_read, without_tags
from adasr_trl.speech.notation import in_words
from adasr_trl.speech.plain_text import plain

_LONGEST = 300  # characters spoken at once: Piper's memory grows with the square of them
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COMMAND = re.compile(r"\[\[|\]\]")  # phonemes, and commands of espeak-ng
_READABLE = re.compile(r"[^\W_]")
_TITLES = {"Mr": "Mister", "Mrs": "Missus", "Dr": "Doctor", "Jr": "junior", "Sr": "senior"}
_TITLE = re.compile(r"\b(Mr|Mrs|Dr|Jr|Sr)\.(?=\s|$)")
_READ_SCRIPTS = ("LATIN", "GREEK", "FEMININE ORDINAL", "MASCULINE ORDINAL", "MICRO", "MODIFIER")


def speakable(text: str) -> str:
    """A text as a synthesiser may get it, in words as they are said: no commands, no tags.

    >>> speakable("<b>Mr. Lee</b> paid $1,200.50 for 3/4 of it -- [[h@]]")
    'Mister Lee paid 1,200 dollars and 50 cents for 3 quarters of it -- h@'
    """
    text = text.encode("utf-8", "ignore").decode()  # halves of surrogate pairs are no text
    text = _CONTROL.sub(" ", plain(with_entities_read(text)))
    text = in_words(_COMMAND.sub(" ", without_tags(text)))  # a tag or a wide bracket may hide one
    text = _TITLE.sub(lambda title: _TITLES[title[1]], text)
    return " ".join(text.split())


def foreign_letter(text: str) -> str | None:
    """The first letter that English voices do not read but name, such as "Chinese letter"; None for none."""
    for character in plain(with_entities_read(text)):
        if character.isalpha() and not unicodedata.name(character, "").startswith(_READ_SCRIPTS):
            return character
    return None


def pieces_of(text: str) -> list[str]:
    """A speakable text in pieces of at most 300 characters, cut at white space where there is any; without what cannot be read."""
    pieces = textwrap.wrap(speakable(text), _LONGEST, break_on_hyphens=False)
    return [piece for piece in pieces if _READABLE.search(piece)]
