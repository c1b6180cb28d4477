"""Does a thought know what has not been read yet? Found from the text alone, for any trace.

    >>> [v.fact for v in future_facts("How many?", ("Tom has 5 hens.", " He buys 3."), ("Tom 5 + 3 = 8", ""))]
    ['3']

Three things betray a fact from the future: a word, a number, or a whole clause that first occurs in a later chunk. A
number that also occurs earlier is decided by accounting: each use of it in a thought takes an occurrence (in its own
chunk, as the result of an earlier step, or in an earlier chunk whose words fit), and a use that had to take one twice, or
one that fits less, is a violation if a later chunk holds the number and no thought accounts for it. The results of
steps are facts of their own, if the arithmetic is right. All of this is ours. Left out: facts told in other words, the
order of inferences without numbers, and scripts without spaces between words (their numbers are checked).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data_builders.text.quantities import (
    Quantity,
    content_stems,
    find_constants,
    find_numbers,
    find_quantities,
    plain_numbers,
)

QUESTION = -1
_MOST_ALIKE = 20  # chunks with the same first words that a clause is compared with, on either side
_CLAUSE = re.compile(r"[;\n]|[.,?!](?=\s|$)")
_OPERATOR = r"[-+*/\u00d7\u00f7\u2212]"
_SUM = re.compile(
    rf"(?<![\d.,])\d[\d.,]*+(?:\s*+{_OPERATOR}\s*+[$\u20ac\u00a3]?\d[\d.,]*+){{1,20}}+\s*+=\s*+[$\u20ac\u00a3]?(-?\d[\d.,]*+)"
)
_TERM = re.compile(rf"({_OPERATOR})?\s*[$\u20ac\u00a3]?(\d[\d.,]*)")
_IS_RESULT = re.compile(r"(?:=|\bequals?)\s*[$\u20ac\u00a3]?-?$")
_PLAIN = re.compile(r"[\d,]*\.?\d+")
_GOES_ON = re.compile(rf"\s*{_OPERATOR}\s*[$\u20ac\u00a3(]?\d")


@dataclass(frozen=True)
class Violation:
    """A fact that a thought states too early.

    Attributes:
        chunk: Behind which chunk the thought stands.
        fact: The word, number or clause.
        read_at: With which chunk it is read.
    """

    chunk: int
    fact: str
    read_at: int


@dataclass
class _Occurrence:
    """A number where it is read, or derived by a step."""

    place: int
    quantity: Quantity | None  # None if derived
    is_taken: bool = False


@dataclass(frozen=True)
class _Use:
    """A number in a thought, and what accounts for it: None where nothing does.

    Attributes:
        place: The thought's chunk.
        value: The number.
        words: Stems of the thought.
        taken: The occurrence.
        is_again: Whether it was taken before.
    """

    place: int
    value: float
    words: frozenset[str]
    taken: _Occurrence | None
    is_again: bool


@dataclass
class _Ledger:
    """Every number of an episode, and what the thoughts used it for."""

    occurrences: dict[float, list[_Occurrence]] = field(default_factory=dict)
    uses: list[_Use] = field(default_factory=list)

    def read(self, text: str, place: int) -> None:
        for quantity in find_quantities(text):
            for value in quantity.values:
                self._add(value, _Occurrence(place, quantity))

    def derive(self, value: float, place: int) -> None:
        self._add(value, _Occurrence(place, None))

    def use(self, value: float, place: int, words: frozenset[str]) -> None:
        known = [one for one in self.occurrences.get(value, ()) if one.place <= place]
        fresh = [one for one in known if not one.is_taken or one.place == QUESTION]
        taken = _best(fresh or known, place, words)
        self.uses.append(_Use(place, value, words, taken, is_again=not fresh))
        if taken is None:
            return
        for one in known:  # a chunk that says a number twice says it once
            one.is_taken |= one is taken or (one.place == taken.place and one.quantity is not None)

    def read_behind(self, use: _Use) -> list[_Occurrence]:
        """Where the number of a use is read later."""
        known = self.occurrences.get(use.value, ())
        return [one for one in known if one.place > use.place and one.quantity is not None]

    def _add(self, value: float, occurrence: _Occurrence) -> None:
        self.occurrences.setdefault(value, []).append(occurrence)


def _best(known: Sequence[_Occurrence], place: int, words: frozenset[str]) -> _Occurrence | None:
    """In the thought's own chunk, else derived, else where the words fit best."""
    if len(known) < 2:
        return known[0] if known else None
    return max(
        known,
        key=lambda one: (
            one.place == place and one.quantity is not None,
            one.quantity is None,
            _fit(one, words),
        ),
    )


def _fit(one: _Occurrence, words: frozenset[str]) -> int:
    return 0 if one.quantity is None else one.quantity.shared(words)


def future_facts(
    question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> tuple[Violation, ...]:
    """Every fact that a thought states before it has been read; ``question`` is read before the first chunk."""
    if not any(thoughts):
        return ()
    found = [
        *_early_words(question, chunks, thoughts),
        *_early_numbers(question, chunks, thoughts),
        *_early_clauses(question, chunks, thoughts),
    ]
    return tuple(sorted(found, key=lambda violation: violation.chunk))


def _early_words(
    question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> Iterator[Violation]:
    first: dict[str, int] = dict.fromkeys(content_stems(question), QUESTION)
    for place, text in enumerate(chunks):
        for stem in content_stems(text):
            first.setdefault(stem, place)
    for place, thought in enumerate(thoughts):
        for stem in dict.fromkeys(content_stems(thought)) if thought else ():
            if first.get(stem, QUESTION) > place:
                yield Violation(place, stem, first[stem])


def _early_clauses(
    question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> Iterator[Violation]:
    """A later chunk said as it is: three content words in its order, or two that are all of a clause."""
    told = [content_stems(text) for text in chunks]
    starting: dict[tuple[str, ...], list[int]] = {}
    for place, stems in enumerate(told):
        if len(stems) > 1 and not find_numbers(chunks[place]):  # a number tells by itself
            starting.setdefault(stems[:2], []).append(place)
    for place, thought in enumerate(thoughts):
        for clause in _CLAUSE.split(thought) if thought else ():
            stems = content_stems(clause)
            for start in range(len(stems) - 1):
                alike = starting.get(stems[start : start + 2], [])
                read = bisect_right(alike, place)
                for later in alike[read : read + _MOST_ALIKE]:
                    known = [told[i] for i in alike[max(0, read - _MOST_ALIKE) : read]]
                    if _is_said(stems, start, told[later]) and not _was_read(
                        told[later], question, known
                    ):
                        yield Violation(place, chunks[later].strip(), later)


def _is_said(stems: tuple[str, ...], start: int, chunk: tuple[str, ...]) -> bool:
    if len(chunk) == 2:
        return stems == chunk
    return stems[start : start + len(chunk)] == chunk


def _was_read(chunk: tuple[str, ...], question: str, before: Sequence[tuple[str, ...]]) -> bool:
    """Whether an earlier chunk or the question says the same."""
    asked = f" {' '.join(content_stems(question))} "
    return f" {' '.join(chunk)} " in asked or any(one[: len(chunk)] == chunk for one in before)


def _early_numbers(
    question: str, chunks: Sequence[str], thoughts: Sequence[str]
) -> Iterator[Violation]:
    if not any(thoughts[:-1]):
        return  # nothing is read behind the last chunk
    ledger = _Ledger()
    ledger.read(question, QUESTION)
    said: set[str] = set()
    for place, text in enumerate(chunks):
        # What only says an earlier chunk again ("As was said: ...") tells no number anew.
        if said.isdisjoint({text.strip(), text.partition(": ")[2].strip()}):
            ledger.read(text, place)
        if len(text) > 12:
            said.add(text.strip())
    *earlier, last = (i for i, thought in enumerate(thoughts) if thought or i == len(chunks) - 1)
    for place in earlier:
        _account(ledger, thoughts[place], place)
    suspects = [use for use in ledger.uses if ledger.read_behind(use)]
    if suspects:
        _account(ledger, thoughts[last], last)  # it may account for what the last chunk says
    for use in suspects:
        later = ledger.read_behind(use)
        if use.taken is None and not _is_constant(use, question, chunks):
            yield Violation(use.place, f"{use.value:g}", later[0].place)
        elif use.taken and (missed := _better(use, later)):
            yield Violation(use.place, f"{use.value:g}", missed.place)


def _is_constant(use: _Use, question: str, chunks: Sequence[str]) -> bool:
    """Whether it is common knowledge about something that has been read, such as the 60 of minutes."""
    return any(use.value in find_constants(text) for text in (question, *chunks[: use.place + 1]))


def _better(use: _Use, later: Sequence[_Occurrence]) -> _Occurrence | None:
    """A later occurrence that no thought accounts for, and that fits the use better than what it took."""
    if use.taken is None or use.taken.place == QUESTION:
        return None
    if use.taken.quantity is None and not use.is_again:
        return None
    missed = [one for one in later if not one.is_taken]
    if not missed:
        return None
    least = max(1, _fit(use.taken, use.words) + (0 if use.is_again else 1))
    return next((one for one in missed if _fit(one, use.words) >= least), None)


def _account(ledger: _Ledger, thought: str, place: int) -> None:
    """Enter what a thought uses and derives, clause by clause."""
    words = frozenset(content_stems(thought))
    breaks = [found.start() for found in _CLAUSE.finditer(thought)]
    wrong = _wrong_results(thought) if "=" in thought else set()
    operands_in = -1
    for number in find_numbers(thought):
        clause = bisect_left(breaks, number.start)
        shown = thought[number.start : number.end]
        if "/" in shown:  # 20/4 is a division, and 3/4 gives its 3 and its 4, too
            for part in plain_numbers(shown):
                ledger.use(part, place, words)
            operands_in = clause
            continue
        value = _plain_value(number.values, shown)
        is_result = (
            operands_in == clause
            and _IS_RESULT.search(thought, max(0, number.start - 12), number.start)
            and not _GOES_ON.match(thought, number.end)
            and value not in wrong
        )
        if is_result:
            ledger.derive(value, place)
        else:
            operands_in = clause
            ledger.use(value, place, words)


def _plain_value(values: frozenset[float], shown: str) -> float:
    """The value as written: 20 of "20%", 0.5 of "half"."""
    if len(values) > 1 and _PLAIN.fullmatch(shown.strip("% ")):
        return round(float(shown.strip("% ").replace(",", "")), 6)
    return min(values)


def _wrong_results(clause: str) -> set[float]:
    """Results that do not follow from the sum before them."""
    wrong = set()
    for found in _SUM.finditer(clause):
        shown = _number(found[1])
        if abs(_value_of(found[0].partition("=")[0]) - shown) > 0.01 * max(1.0, abs(shown)):
            wrong.add(round(shown, 6))
    return wrong


def _value_of(sum_: str) -> float:
    """Products before sums, from left to right; division by zero counts as 0."""
    terms: list[float] = []
    for operator, digits in _TERM.findall(sum_):
        number = _number(digits)
        if operator in ("*", "\u00d7"):
            terms[-1] *= number
        elif operator in ("/", "\u00f7"):
            terms[-1] = terms[-1] / number if number else 0.0
        else:
            terms.append(-number if operator in ("-", "\u2212") else number)
    return sum(terms)


def _number(digits: str) -> float:
    cleaned = digits.replace(",", "").strip(".")
    return float(cleaned) if cleaned.count(".") <= 1 and cleaned else 0.0
