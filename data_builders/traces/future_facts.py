"""Facts from the future: facts that a thought states before they are read, found from the text alone.

    >>> [v.fact for v in future_facts("How many?", ("Tom has 5 hens.", " He buys 3."), ("Tom 5 + 3 = 8", ""))]
    ['3']

A word, a number, or a whole clause that first occurs in a later chunk is a fact from the future. Numbers that also occur
earlier are decided by accounting: each use takes an occurrence in its own chunk, the result of an earlier step, or an
earlier chunk whose words match. A use that takes one twice, or a worse match, is a violation if a later chunk holds the
number and no thought accounts for it. Results of right sums are facts of their own. All of this is our own. Left out: facts
in other words, inferences without numbers, and scripts without spaces between words (their numbers are checked).
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from data_builders.text.quantities import (
    Mention,
    content_stems,
    find_constants,
    find_numbers,
    find_quantities,
    plain_numbers,
)

Texts = Sequence[str]

QUESTION = -1  # the chunk of what is known before the stream
_MOST_ALIKE = 20  # on either side, chunks with the same first words that a clause is compared with
_LONG_ENOUGH = 12  # characters from which on a text said again is a repeat, no coincidence
_CLAUSE = re.compile(r"[;\n]|[.,?!](?=\s|$)")
_OPERATOR = r"[-+*/\u00d7\u00f7\u2212]"
_SUM = re.compile(  # possessive quantifiers keep the time linear
    rf"(?<![\d.,])\d[\d.,]*+(?:\s*+{_OPERATOR}\s*+[$\u20ac\u00a3]?\d[\d.,]*+){{1,20}}+\s*+=\s*+[$\u20ac\u00a3]?(-?\d[\d.,]*+)"
)
_TERM = re.compile(rf"({_OPERATOR})?\s*[$\u20ac\u00a3]?(\d[\d.,]*)")
_IS_RESULT = re.compile(r"(?:=|\bequals?)\s*[$\u20ac\u00a3]?-?$")
_PLAIN = re.compile(r"[\d,]*\.?\d+")
_GOES_ON = re.compile(rf"\s*{_OPERATOR}\s*[$\u20ac\u00a3(]?\d")


@dataclass(frozen=True)
class Violation:
    """A fact that a thought states too early."""

    chunk: int  # the chunk of the thought
    fact: str  # the word, number or clause
    read_at: int  # the chunk that gives it


@dataclass
class _Occurrence:
    """A number where it is read, or derived by a step."""

    chunk: int  # where
    quantity: Mention | None  # the number with its surroundings; None for a derived one
    is_taken: bool = False  # whether a thought used it

    def match(self, stems: frozenset[str]) -> int:
        """How many content words its surroundings share with a thought."""
        return 0 if self.quantity is None else self.quantity.shared(stems)


@dataclass(frozen=True)
class _Use:
    """A number in a thought."""

    chunk: int  # the thought's chunk
    value: float  # the number
    stems: frozenset[str]  # of the thought's content words
    taken: _Occurrence | None  # the occurrence that accounts for it, or None
    is_again: bool  # whether it was taken before


@dataclass
class _Accounts:
    """Every number of an episode, and its uses in the thoughts."""

    occurrences: dict[float, list[_Occurrence]] = field(default_factory=dict)
    uses: list[_Use] = field(default_factory=list)

    def read(self, text: str, chunk: int) -> None:
        for quantity in find_quantities(text):
            for value in quantity.values:
                self._add(value, _Occurrence(chunk, quantity))

    def derive(self, value: float, chunk: int) -> None:
        self._add(value, _Occurrence(chunk, None))

    def use(self, value: float, chunk: int, stems: frozenset[str]) -> None:
        known = [number for number in self.occurrences.get(value, ()) if number.chunk <= chunk]
        # The question may be used any number of times.
        free = [number for number in known if not number.is_taken or number.chunk == QUESTION]
        taken = _best(free or known, chunk, stems)
        self.uses.append(_Use(chunk, value, stems, taken, is_again=not free))
        if taken is None:
            return
        for number in known:  # a chunk that says a number twice says it once
            is_same = number.chunk == taken.chunk and number.quantity is not None
            number.is_taken |= number is taken or is_same

    def read_later(self, use: _Use) -> list[_Occurrence]:
        """Later readings of the number of a use."""
        known = self.occurrences.get(use.value, ())
        return [n for n in known if n.chunk > use.chunk and n.quantity is not None]

    def _add(self, value: float, occurrence: _Occurrence) -> None:
        self.occurrences.setdefault(value, []).append(occurrence)


def _best(known: Sequence[_Occurrence], chunk: int, stems: frozenset[str]) -> _Occurrence | None:
    """The occurrence in the thought's own chunk, else a derived one, else the best match of words."""
    if len(known) < 2:
        return known[0] if known else None

    def rank(number: _Occurrence) -> tuple[bool, bool, int]:
        is_read = number.quantity is not None
        return number.chunk == chunk and is_read, not is_read, number.match(stems)

    return max(known, key=rank)


def future_facts(question: str, chunks: Texts, thoughts: Texts) -> list[Violation]:
    """Every fact that a thought states before it has been read; ``question`` is read before the first chunk."""
    if not any(thoughts):
        return []
    checks = (_early_words, _early_numbers, _early_clauses)
    violations = (v for find in checks for v in find(question, chunks, thoughts))
    return sorted(violations, key=lambda violation: violation.chunk)


def _early_words(question: str, chunks: Texts, thoughts: Texts) -> Iterator[Violation]:
    first: dict[str, int] = dict.fromkeys(content_stems(question), QUESTION)
    for chunk, text in enumerate(chunks):
        for stem in content_stems(text):
            first.setdefault(stem, chunk)
    for chunk, thought in enumerate(thoughts):
        for stem in dict.fromkeys(content_stems(thought)) if thought else ():
            if first.get(stem, QUESTION) > chunk:
                yield Violation(chunk, stem, first[stem])


def _early_clauses(question: str, chunks: Texts, thoughts: Texts) -> Iterator[Violation]:
    """A later chunk in its own words: three content words in its order, or two that are all of a clause."""
    stems_of = [content_stems(text) for text in chunks]
    starting: dict[tuple[str, ...], list[int]] = {}  # chunks by their first two stems
    for chunk, stems in enumerate(stems_of):
        if len(stems) > 1 and not find_numbers(chunks[chunk]):  # numbers have their accounts
            starting.setdefault(stems[:2], []).append(chunk)
    for chunk, thought in enumerate(thoughts):
        for clause in _CLAUSE.split(thought) if thought else ():
            stems = content_stems(clause)
            for start in range(len(stems) - 1):
                alike = starting.get(stems[start : start + 2], [])
                read = bisect_right(alike, chunk)
                for later in alike[read : read + _MOST_ALIKE]:
                    fact = stems_of[later]
                    quoted = stems if len(fact) == 2 else stems[start : start + len(fact)]
                    before = [stems_of[i] for i in alike[max(0, read - _MOST_ALIKE) : read]]
                    if quoted == fact and not _was_read(fact, question, before):
                        yield Violation(chunk, chunks[later].strip(), later)


def _was_read(stems: tuple[str, ...], question: str, before: Sequence[tuple[str, ...]]) -> bool:
    """Whether an earlier chunk or the question says the same."""
    asked = f" {' '.join(content_stems(question))} "
    return f" {' '.join(stems)} " in asked or any(other[: len(stems)] == stems for other in before)


def _early_numbers(question: str, chunks: Texts, thoughts: Texts) -> Iterator[Violation]:
    if not any(thoughts[:-1]):
        return  # nothing is read behind the last chunk
    accounts = _Accounts()
    accounts.read(question, QUESTION)
    known_texts: set[str] = set()
    for chunk, text in enumerate(chunks):
        # A repeat of an earlier chunk ("As was said: ...") gives no number anew.
        if known_texts.isdisjoint({text.strip(), text.partition(": ")[2].strip()}):
            accounts.read(text, chunk)
        if len(text) > _LONG_ENOUGH:
            known_texts.add(text.strip())
    *earlier, last = (i for i, thought in enumerate(thoughts) if thought or i == len(chunks) - 1)
    for chunk in earlier:
        _account(accounts, thoughts[chunk], chunk)
    suspects = [use for use in accounts.uses if accounts.read_later(use)]
    if suspects:
        _account(accounts, thoughts[last], last)  # it may account for the last chunk's numbers
    for use in suspects:
        later = accounts.read_later(use)
        if use.taken is None and not _is_constant(use, question, chunks):
            yield Violation(use.chunk, f"{use.value:g}", later[0].chunk)
        elif use.taken and (missed := _better_match(use, later)):
            yield Violation(use.chunk, f"{use.value:g}", missed.chunk)


def _is_constant(use: _Use, question: str, chunks: Sequence[str]) -> bool:
    """Whether it is common knowledge on a word that has been read, such as the 60 of minutes."""
    return any(use.value in find_constants(text) for text in (question, *chunks[: use.chunk + 1]))


def _better_match(use: _Use, later: Sequence[_Occurrence]) -> _Occurrence | None:
    """A later occurrence without a use that matches better than the taken one."""
    if use.taken is None or use.taken.chunk == QUESTION:
        return None
    if use.taken.quantity is None and not use.is_again:
        return None
    least = max(1, use.taken.match(use.stems) + (0 if use.is_again else 1))
    return next((n for n in later if not n.is_taken and n.match(use.stems) >= least), None)


def _account(accounts: _Accounts, thought: str, chunk: int) -> None:
    """Enter the numbers that a thought uses and derives, clause by clause."""
    stems = frozenset(content_stems(thought))
    breaks = [clause_end.start() for clause_end in _CLAUSE.finditer(thought)]
    wrong = _wrong_results(thought) if "=" in thought else set()
    clause_of_operand = -1  # a result needs an operand in its own clause
    for number in find_numbers(thought):
        clause = bisect_left(breaks, number.start)
        shown = thought[number.start : number.end]
        if "/" in shown:  # 20/4 is a division, and 3/4 gives its 3 and its 4, too
            for part in plain_numbers(shown):
                accounts.use(part, chunk, stems)
            clause_of_operand = clause
            continue
        value = _plain_value(number.values, shown)
        is_result = (
            clause_of_operand == clause
            and _IS_RESULT.search(thought, max(0, number.start - 12), number.start)
            and not _GOES_ON.match(thought, number.end)
            and value not in wrong
        )
        if is_result:
            accounts.derive(value, chunk)
        else:
            clause_of_operand = clause
            accounts.use(value, chunk, stems)


def _plain_value(values: frozenset[float], shown: str) -> float:
    """The value as written: 20 of "20%", 0.5 of "half"."""
    digits = shown.strip("% ")
    if len(values) > 1 and _PLAIN.fullmatch(digits):
        return round(float(digits.replace(",", "")), 6)
    return min(values)


def _wrong_results(clause: str) -> set[float]:
    """Results that do not follow from the sum before them."""
    wrong = set()
    for equation in _SUM.finditer(clause):
        shown = _number(equation[1])
        if abs(_value_of(equation[0].partition("=")[0]) - shown) > 0.01 * max(1.0, abs(shown)):
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
