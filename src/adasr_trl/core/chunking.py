"""Chunks of a text that arrive one by one: sentences, n words, or seconds of speech.

    >>> chunk("Tom has 5 apples.", "word:2")
    ('Tom has', ' 5 apples.')

Every way is loss-free: joined, the chunks are the text. White space belongs to the chunk that follows, at the end
of the text to the last one. No chunk is blank, and a blank text has none. Ends of sentences are in ``sentences``.

A Chinese or Japanese character counts as a word where words are counted out; in other scripts that write no spaces a
run of letters counts as one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from adasr_trl.core.script_stops import HAN_KANA, KANA
from adasr_trl.core.sentences import line_breaks, sentence_chunks

_WIDE_LETTER = re.compile(f"[{HAN_KANA}]")
_KANA_LETTER = re.compile(f"[{KANA}]")
# A word, or one Chinese or Japanese character, with the marks behind it.
_WORD = re.compile(rf"\s*(?:[{HAN_KANA}][^\s\w]*|[^\s{HAN_KANA}]+)")
_ODD_SPACE = re.compile(r"\s{2,}|[^\S ]")  # all but a single space
# Chinese and Japanese with their marks and full-width forms, Hangul apart.
_WIDE_RANGES = f"{HAN_KANA}\u3001-\u303f\u3100-\u312f\uff01-\uff9f\U00020000-\U0003ffff"
_WIDE = re.compile(f"[{_WIDE_RANGES}]")
# And Thai, Lao, Burmese, Khmer.
_UNSPACED = re.compile(f"[{_WIDE_RANGES}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_QUOTES = frozenset("\u2018\u2019\u201c\u201d\u2026\u2014\u00b7")  # of these scripts and of others
CHINESE_WORD = 0.6  # of a word to speak a character: 250 a minute at 150 words a minute
JAPANESE_WORD = 0.5  # 300 a minute


def chunk_as_read(chunk: str, *, is_first: bool) -> str:
    r"""A chunk as models read it: one space for the white space before it, none before the first or behind any.

    So a line break, an indentation or a trailing newline never changes the tokens: data, pipes, terminals, transcripts and
    ``feed`` give the same ones. White space inside follows ``text_as_read``; Chinese and Japanese begin without a space.

        >>> chunk_as_read("\n\n Tom finds\n3.\n", is_first=False)
        ' Tom finds 3.'
    """
    text = text_as_read(chunk)
    is_spaced = chunk[:1].isspace() and not _WIDE.match(text)
    return f" {text}" if is_spaced and not is_first else text


def text_as_read(text: str) -> str:
    r"""A text as models read it: stripped, and each run of white space inside is one space.

    A line that is wrapped between letters of scripts without spaces goes on without one, as in CSS Text 3. Blank lines
    stay, as bare newlines.

        >>> text_as_read("Tom has\r\n5\u00a0 hens.\n"), text_as_read("\u5c0f\u660e\n\u6709")
        ('Tom has 5 hens.', '\u5c0f\u660e\u6709')
    """
    return _ODD_SPACE.sub(_space_as_read, text.strip())


def _space_as_read(run: re.Match[str]) -> str:
    breaks = line_breaks(run.group())
    if breaks > 1:
        return "\n" * breaks
    before, after = run.string[run.start() - 1], run.string[run.end()]
    is_wrapped = breaks == 1 and all(
        _UNSPACED.match(here) or (here in _QUOTES and _UNSPACED.match(there))
        for here, there in ((before, after), (after, before))
    )
    return "" if is_wrapped else " "


def word_chunks(text: str, words: int) -> tuple[str, ...]:
    """A text in pieces of ``words`` words; the last may be shorter."""
    if words < 1:
        raise ValueError(f"words: got {words}; expected a whole number of 1 or more.")
    ends = [word.end() for word in _WORD.finditer(text)]
    return _cut(text, ends[words - 1 : -1 : words]) if ends else ()


def spoken_words(text: str) -> float:
    """How many words it takes as long to speak; Chinese and Japanese characters are parts of a word (rates are ours).

    >>> spoken_words("Tom has 5 hens."), spoken_words("\u5c0f\u660e\u6709\u4e94\u53ea\u9e21\u3002")
    (4, 3.6)
    """
    wide = _WIDE_LETTER.findall(text)
    if not wide:
        return len(text.split())
    others = sum(any(map(str.isalnum, word)) for word in _WIDE_LETTER.sub(" ", text).split())
    rate = JAPANESE_WORD if _KANA_LETTER.search(text) else CHINESE_WORD
    return round(others + rate * len(wide), 6)


def clock_chunks(text: str, seconds: float, words_per_minute: float = 150.0) -> tuple[str, ...]:
    """What is heard in each window of ``seconds``: the words that end in it; a window without one is no chunk."""
    if not (0.0 < seconds < math.inf and 0.0 < words_per_minute < math.inf):
        raise ValueError(
            f"got {seconds} seconds, {words_per_minute} words a minute; expected above 0."
        )
    words_per_window = max(1.0, seconds * words_per_minute / 60.0)
    found = list(_WORD.finditer(text))
    rate = JAPANESE_WORD if _KANA_LETTER.search(text) else CHINESE_WORD
    spoken = accumulate(rate if _WIDE_LETTER.search(word.group()) else 1 for word in found)
    # The tolerance keeps a word that ends with its window inside it in spite of rounding.
    windows = [math.ceil(words / words_per_window - 1e-9) for words in spoken]
    cuts = [
        word.end()
        for word, (now, then) in zip(found, pairwise(windows), strict=False)
        if now != then
    ]
    return _cut(text, cuts) if found else ()


def chunk(text: str, spec: str) -> tuple[str, ...]:
    """Cut a text as a config says: ``sentence``, ``word:5``, ``clock:2.0`` or ``clock:2.0@150`` (words a minute)."""
    if spec == "sentence":
        return sentence_chunks(text)
    if words := re.fullmatch(r"word:([1-9][0-9]{0,8})", spec):
        return word_chunks(text, int(words[1]))
    if clock := re.fullmatch(r"clock:(\d+(?:\.\d+)?)(?:@(\d+(?:\.\d+)?))?", spec, re.ASCII):
        return clock_chunks(text, float(clock[1]), float(clock[2] or 150.0))
    raise ValueError(
        f"chunking: got {spec!r}; expected 'sentence', 'word:N' (N words), 'clock:S' (S seconds of speech) "
        f"or 'clock:S@W' (at W words a minute), such as 'word:5' or 'clock:2.0@150'."
    )


def _cut(text: str, cuts: Sequence[int]) -> tuple[str, ...]:
    return tuple(text[start:end] for start, end in pairwise((0, *cuts, len(text))))
