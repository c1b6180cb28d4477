"""Tables of an evaluation: every column once, with its words and its form; commands choose among them.

    >>> rows = [(("sft", "greedy"), summary)]
    >>> print(table(("method", "decoding"), rows, (ACCURACY, *TOKENS, LATENCY)).markdown())

A column that all tables of summaries shall have belongs into ``TOKENS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from adasr_trl.evaluation.summary import LatencySummary, PairedDifference, Summary

T = TypeVar("T")


@dataclass(frozen=True)
class Table:
    """Cells as text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table in Markdown; a bar in a cell ends no cell."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        escaped = [[cell.replace("|", "\\|") for cell in cells] for cells in lines]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in escaped)

    def with_column(self, header: str, cells: Iterable[str]) -> Table:
        """The same with one more column."""
        rows = zip(self.rows, cells, strict=True)
        return Table((*self.header, header), tuple((*row, cell) for row, cell in rows))


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table whose rows are about a ``T``."""

    header: str  # its words
    value: Callable[[T], object]  # number, interval or text of a row; None is shown as "-"
    form: str = ""  # format specification of the value

    def cell(self, row: T) -> str:
        """The value as text."""
        value = self.value(row)
        return "-" if value is None else format(value, self.form)


def table(
    names: Sequence[str],
    rows: Iterable[tuple[Sequence[str], T]],
    columns: Sequence[Column[T]],
) -> Table:
    """The table with a row for each entry.

    Args:
        names: Headers of the first columns.
        rows: The first cells of each row, and what it is about.
        columns: The further columns.
    """
    return Table(
        (*names, *(column.header for column in columns)),
        tuple((*cells, *(column.cell(about) for column in columns)) for cells, about in rows),
    )


# ---- of summaries

ACCURACY = Column[Summary]("accuracy", lambda s: s.accuracy, ".3f")
ACCURACY_MEAN = Column[Summary]("accuracy", lambda s: s.accuracy.mean, ".3f")
OF_EACH_SEED = Column[Summary](
    "of each seed", lambda s: " ".join(f"{share:.3f}" for share in s.accuracies)
)
QUESTIONS = Column[Summary]("questions", lambda s: s.questions)
ROLLOUTS = Column[Summary]("n", lambda s: s.questions * s.samples)
STREAMING_TOKENS = Column[Summary]("streaming tokens", lambda s: s.streaming_tokens, ".1f")
DEEP_TOKENS = Column[Summary]("deep tokens", lambda s: s.deep_tokens, ".1f")
TOTAL_TOKENS = Column[Summary]("total tokens", lambda s: s.total_tokens, ".1f")
TOKENS = (STREAMING_TOKENS, DEEP_TOKENS, TOTAL_TOKENS)
SKIP_RATE = Column[Summary]("skip rate", lambda s: s.skip_rate, ".2f")  # "-" without a choice
SKIP_PRECISION = Column[Summary]("skip precision", lambda s: s.skip_precision, ".2f")
SKIP_RECALL = Column[Summary]("skip recall", lambda s: s.skip_recall, ".2f")
ANSWERED = Column[Summary]("answered", lambda s: s.answered, ".3f")
LAGGING_WORDS = Column[Summary]("AL words", lambda s: s.lagging_words, ".1f")
ADAPTIVE_LAGGING_WORDS = Column[Summary]("LAAL words", lambda s: s.adaptive_lagging_words, ".1f")


def latencies(summaries: Iterable[Summary]) -> tuple[Column[Summary], ...]:
    """To the answer's first token, where the records of all rows tell it, and to the last token of its value."""
    is_known = all(summary.latency.first_seconds is not None for summary in summaries)
    return (FIRST, LATENCY) if is_known else (LATENCY,)


def pass_at(k: int) -> Column[Summary]:
    """The chance that one of k samples is right."""
    return Column(f"pass@{k}", lambda s: s.pass_at.get(k), ".3f")


def _seconds(header: str, value: Callable[[LatencySummary], object]) -> Column[Summary]:
    """A column of the first clock."""
    return Column(header, lambda s: value(s.latency), ".2f")


BACKLOG = _seconds("backlog, s", lambda by: by.backlog_seconds)
FIRST = _seconds("first answer token, s", lambda by: by.first_seconds and by.first_seconds.mean)
FIRST_P95 = _seconds("95th percentile, s", lambda by: by.first_seconds and by.first_seconds.p95)
LATENCY = _seconds("answer latency, s", lambda by: by.answer_latency_seconds.mean)
LATENCY_P95 = _seconds("95th percentile, s", lambda by: by.answer_latency_seconds.p95)
DISCARDED = Column[Summary]("discarded tokens", lambda s: s.latency.discarded_tokens, ".1f")
OVERLAP = _seconds("overlap", lambda by: by.overlap)
LAGGING = _seconds("AL, s", lambda by: by.lagging_seconds)
ADAPTIVE_LAGGING = _seconds("LAAL, s", lambda by: by.adaptive_lagging_seconds)

# ---- of paired differences

POINTS = Column[PairedDifference]("accuracy, points", lambda d: d.points, "+.1f")
WON_LOST = Column[PairedDifference]("won / lost", lambda d: f"{d.mcnemar.n01} / {d.mcnemar.n10}")
P_VALUE = Column[PairedDifference]("McNemar p", lambda d: d.p_value, ".2g")
MORE_TOKENS = Column[PairedDifference]("total tokens", lambda d: d.tokens, "+.1f")
MORE_TOKENS_MEAN = Column[PairedDifference]("total tokens", lambda d: d.tokens.mean, "+.1f")
MORE_TOKENS_PERCENT = Column[PairedDifference](
    "total tokens, %", lambda d: d.tokens_percent, "+.1f"
)
MORE_LATENCY = Column[PairedDifference](
    "answer latency, s", lambda d: d.answer_latency_seconds, "+.2f"
)
