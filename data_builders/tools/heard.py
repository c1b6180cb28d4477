"""What was heard against what was typed: word errors, and the trace of the typed text on the heard chunks.

    compared = compare(("Tom has five hens.", " He buys 3."), ("Tom has 5 hens. He buys three.",))
    compared.errors, compared.completed_by
    (0, (0, 0))

Words are compared in one form (``comparable``): lower case, without marks, numbers as digits, signs in words. A thought stays
with the chunk in which its typed chunk is heard to the end. A trace is dropped where a number, a sign, a negation or a word
that it names was misheard: nobody could have thought it. Other misheard words stay, for a policy to learn to read past them. On
request a trace keeps the words that were said, numbers as heard or none: what one recogniser mishears can be learned.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from adasr_trl.core.episode import Episode
from adasr_trl.speech.packages import load_package
from data_builders.pipeline.quality import Bounds, fault_of
from data_builders.text.draft import Trace
from data_builders.text.quantities import content_stems
from data_builders.tools.comparable import words_of

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
        "greater",
        "most",
        "least",
        "equal",
        "plus",
        "minus",
        "times",
        "divided",
        "squared",
        "cubed",
        "power",
        "root",
        "halves",
        "thirds",
        "quarter",
        "quarters",
        "fifths",
        "sixths",
        "sevenths",
        "eighths",
        "ninths",
        "tenths",
        "hundredths",
    ]
)
_DIGIT = re.compile(r"\d")
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
    episode: Episode,
    heard: Sequence[str],
    compared: Comparison,
    bounds: Bounds,
    *,
    keep_misheard_words: bool = False,
) -> Trace | tuple[str, str]:
    """The trace of an episode on what was heard, or the fault for which it is dropped, as a code and in words.

    Args:
        episode: The typed one, with a trace.
        heard: The heard chunks.
        compared: Both texts.
        bounds: Of the quality control, which every trace passes again.
        keep_misheard_words: Whether a trace may name words that were misheard, numbers and the like aside.
    """
    thoughts, deep = episode.thoughts or (), episode.deep or ""
    misheard = _misheard_number(compared)
    if misheard is None and not keep_misheard_words:
        misheard = misheard_word(episode, compared)
    if misheard:
        return misheard
    notes: list[list[str]] = [[] for _ in heard]
    for thought, chunk in zip(thoughts, compared.completed_by, strict=True):
        if thought:
            notes[chunk].append(thought)
    moved = tuple(map("; ".join, notes))
    fault = fault_of(episode.question, heard, moved, deep, bounds, episode.source.name)
    return fault or Trace(moved, deep)


def misheard_word(episode: Episode, compared: Comparison) -> tuple[str, str] | None:
    """The first content word of the trace, but for the question's, that was not heard; as a code and in words."""
    written = (*(episode.thoughts or ()), episode.deep or "")
    named = set(words_of(" ; ".join(written))) - set(words_of(episode.question))
    for chunk, lost in enumerate(compared.lost, start=1):
        if gone := {word for word in named.intersection(lost) if content_stems(word)}:
            return "word_misheard", f"chunk {chunk}: {min(gone)!r} of the trace was not heard"
    return None


def _misheard_number(compared: Comparison) -> tuple[str, str] | None:
    """The first typed chunk in which a number, a sign or another word that decides was misheard."""
    for chunk, (lost, added) in enumerate(zip(compared.lost, compared.added, strict=True), start=1):
        if _decisive(lost) != _decisive(added):
            return "number_misheard", f"chunk {chunk}: heard {_list(added)} for {_list(lost)}"
    return None


def _decisive(tokens: Sequence[str]) -> Counter[str]:
    return Counter(token for token in tokens if _DIGIT.search(token) or token in _DECISIVE)


def _list(tokens: Sequence[str]) -> str:
    return repr(" ".join(tokens)) if tokens else "nothing"


def _tokens(chunks: Sequence[str]) -> _Tokens:
    return [(token, n) for n, chunk in enumerate(chunks) for token in words_of(chunk)]


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
