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

from adasr_trl.core.sentences import sentence_chunks

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff"
_WIDE_LETTER = re.compile(f"[{_HAN}{_KANA}]")
_KANA_LETTER = re.compile(f"[{_KANA}]")
# A word, or one Chinese or Japanese character, with the marks behind it.
_WORD = re.compile(rf"\s*(?:[{_HAN}{_KANA}][^\s\w]*|[^\s{_HAN}{_KANA}]+)")
CHINESE_WORD = 0.6  # of a word to speak a character: 250 a minute at 150 words a minute
JAPANESE_WORD = 0.5  # 300 a minute


def chunk_as_read(chunk: str, *, is_first: bool) -> str:
    r"""A chunk as models read it: one space for the white space before it, none before the first or behind any.

    So a line break, an indentation or a trailing newline at a border never changes the tokens: data, pipes, terminals,
    transcripts and ``feed`` give the same ones. White space inside a chunk stays.

        >>> chunk_as_read("\n\n Tom finds 3.\n", is_first=False)
        ' Tom finds 3.'
    """
    text = chunk.strip()
    return text if is_first or not chunk[:1].isspace() else f" {text}"


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
