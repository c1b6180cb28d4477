"""What was heard against what was typed: word errors, and the trace of the typed text on the heard chunks.

    compared = compare(("Tom has five hens.", " He buys 3."), ("Tom has 5 hens. He buys three.",))
    compared.errors, compared.completed_by
    (0, (0, 0))

Words are compared as Whisper's own normaliser writes them: lower case, without marks, numbers as digits. A thought stays
with the chunk in which its typed chunk is heard to the end. A trace is dropped where a number, a negation or a word that
it names was misheard: nobody could have thought it. Other misheard words stay, for a policy to learn to read past them.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from adasr_trl.core.episode import Episode
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.spoken_form import speakable
from data_builders.pipeline.quality import Bounds, fault_of
from data_builders.text.draft import Trace
from data_builders.text.quantities import content_stems

# Words that change a count or a fact, beside numbers.
_DECISIVE = frozenset(
    [
        "no",
        "not",
        "never",
        "none",
        "neither",
        "nor",
        "without",
        "all",
        "every",
        "each",
        "half",
        "twice",
        "double",
        "triple",
        "thrice",
        "dozen",
        "pair",
        "couple",
        "few",
        "several",
        "some",
        "any",
        "another",
        "both",
        "less",
        "fewer",
        "more",
    ]
)
_DIGIT = re.compile(r"\d")
# The normaliser leaves out what stands in brackets, and joins "5 (five)" and "3, 4" to one number.
_APART = re.compile(r"[()\[\]<>{}]|[,;:.?!](?=\s)")
# What is written in several ways, and what the normaliser would misread ("O'Brien" as "0 brien").
_ONE_WAY = [
    (re.compile(pattern, re.IGNORECASE), one_way)
    for pattern, one_way in (
        (r"\bcannot\b", "can not"),
        (r"\bo'(?=[a-z])", "o"),
        (r"\s*\b([ap])\.?\s?m\b\.?", r" \1m"),
        (r"\bone and (?:a|one|1) half\b", "1.5"),
        (r"\b(\d+) and (?:a|one|1) half\b", r"\1.5"),
    )
]
_POINT = re.compile(r"\.\d")
_Tokens = list[tuple[str, int]]  # with the chunk of each


@dataclass(frozen=True)
class Comparison:
    """A heard text against the typed one of C chunks.

    Attributes:
        words: Number of typed words.
        errors: Number of words changed, left out and added.
        completed_by: The heard chunk with the end of each typed one; never decreases. (C)
        lost: Typed words that were not heard, by typed chunk. (C)
        added: Words that were heard instead, by typed chunk. (C)
    """

    words: int
    errors: int
    completed_by: tuple[int, ...]
    lost: tuple[tuple[str, ...], ...]
    added: tuple[tuple[str, ...], ...]


def compare(typed: Sequence[str], heard: Sequence[str]) -> Comparison:
    """Align the words of two texts by the smallest edit distance."""
    typed_tokens, heard_tokens = _tokens(typed), _tokens(heard)
    lost: list[list[str]] = [[] for _ in typed]
    added: list[list[str]] = [[] for _ in typed]
    until = [0] * len(typed)
    errors = 0
    owner = 0  # the typed chunk of the last word
    for is_equal, ours, theirs in _aligned(typed_tokens, heard_tokens):
        errors += 0 if is_equal else max(len(ours), len(theirs))
        for our, their in zip_longest(ours, theirs):
            owner = our[1] if our else owner
            if our and not is_equal:
                lost[owner].append(our[0])
            if their and not is_equal:
                added[owner].append(their[0])
            if their and our:
                until[owner] = max(until[owner], their[1])
    for chunk in range(1, len(until)):
        until[chunk] = max(until[chunk], until[chunk - 1])
    return Comparison(
        words=len(typed_tokens),
        errors=errors,
        completed_by=tuple(until),
        lost=tuple(map(tuple, lost)),
        added=tuple(map(tuple, added)),
    )


def trace_of(
    episode: Episode, heard: Sequence[str], compared: Comparison, bounds: Bounds
) -> Trace | tuple[str, str]:
    """The trace of an episode on what was heard, or the fault for which it is dropped, as a code and in words.

    Args:
        episode: The typed one, with a trace.
        heard: The heard chunks.
        compared: Both texts.
        bounds: Of the quality control, which every trace passes again.
    """
    thoughts, deep = episode.thoughts or (), episode.deep or ""
    if fault := _misheard(episode, compared):
        return fault
    notes: list[list[str]] = [[] for _ in heard]
    for thought, chunk in zip(thoughts, compared.completed_by, strict=True):
        if thought:
            notes[chunk].append(thought)
    moved = tuple(map("; ".join, notes))
    fault = fault_of(episode.question, heard, moved, deep, bounds, episode.source.name)
    return fault or Trace(moved, deep)


def _misheard(episode: Episode, compared: Comparison) -> tuple[str, str] | None:
    """The first typed chunk in which something was misheard that the trace depends on."""
    written = (*(episode.thoughts or ()), episode.deep or "")
    named = set(_normal(" ; ".join(written)).split()) - set(_normal(episode.question).split())
    for chunk, (lost, added) in enumerate(zip(compared.lost, compared.added, strict=True), start=1):
        if _decisive(lost) != _decisive(added):
            return "number_misheard", f"chunk {chunk}: heard {_list(added)} for {_list(lost)}"
        if gone := {word for word in named.intersection(lost) if content_stems(word)}:
            return "word_misheard", f"chunk {chunk}: {min(gone)!r} of the trace was not heard"
    return None


def _decisive(tokens: Sequence[str]) -> Counter[str]:
    return Counter(token for token in tokens if _DIGIT.search(token) or token in _DECISIVE)


def _list(tokens: Sequence[str]) -> str:
    return repr(" ".join(tokens)) if tokens else "nothing"


def _tokens(chunks: Sequence[str]) -> _Tokens:
    return [(token, n) for n, chunk in enumerate(chunks) for token in _normal(chunk).split()]


def _normal(text: str) -> str:
    text = speakable(text)
    for pattern, one_way in _ONE_WAY:
        text = pattern.sub(one_way, text)
    words = " ".join(map(_normaliser(), _APART.split(text))).split()
    return " ".join(f"0{word}" if _POINT.match(word) else word for word in words)


@functools.cache
def _normaliser() -> Callable[[str], str]:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    normaliser: Callable[[str], str] = EnglishTextNormalizer({})
    return normaliser


def _aligned(typed: _Tokens, heard: _Tokens) -> Iterator[tuple[bool, _Tokens, _Tokens]]:
    """Runs of words in order, and whether both texts have the same there."""
    if not typed or not heard:
        yield False, typed, heard
        return
    texts = [" ".join(token for token, _ in tokens) for tokens in (typed, heard)]
    for run in load_package("jiwer").process_words(*texts).alignments[0]:
        ours = typed[run.ref_start_idx : run.ref_end_idx]
        theirs = heard[run.hyp_start_idx : run.hyp_end_idx]
        yield run.type == "equal", ours, theirs
