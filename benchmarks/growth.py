"""How the cost of a token grows: with the chunks of an episode, at equal context, and with the rows of a batch.

    python -m benchmarks.growth        # about 6 minutes on one core

Chunks: 16 rollouts whose contexts all end at 1,760 tokens: 4 chunks of 256 tokens with thoughts of 64, 16 with a quarter
of that each, 64 with a sixteenth. Rows: 8 chunks of 25, thoughts of 12. CPU seconds for each token read or written.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import torch

from benchmarks import parts
from benchmarks.rollout import DEEP, Work, lengths_of, ours

HIDDEN, LAYERS = 128, 4
LAYOUTS = ("interleaved", "parallel")
TOKENS = 1024  # of input, and 256 of thoughts


def tokens_of(work: Work) -> int:
    """Read and written by all rows."""
    return sum(map(len, work.given)) * len(work.lengths) + work.written


def line_of(kind: str, count: int, work: Work, first: dict[str, float]) -> list[str]:
    """A row of the table; ``first`` has the figures of the row that others are compared with."""
    work.model.eval()
    seconds = parts.in_turns({name: partial(ours, work, name) for name in LAYOUTS}, 3)
    cells = []
    for name in LAYOUTS:
        each = statistics.median(seconds[name]) / tokens_of(work) * 1e6
        start = first.setdefault(f"{kind} {name}", each)
        cells += [f"{each:.0f}", f"{each / start:.2f}"]
    return [kind, str(count), str(tokens_of(work)), *cells]


def of_chunks(chunks: int) -> Work:
    """The same context in so many chunks."""
    words = parts.SENTENCE.split()
    sentence = " " + " ".join((words * 30)[: TOKENS // chunks - 2]) + "."
    thought = 256 // chunks
    lengths = tuple((*(thought,) * chunks, DEEP) for _ in range(16))
    return Work(parts.model_of(400, HIDDEN, LAYERS), chunks, lengths, 16, sentence)


def main(_arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    first: dict[str, float] = {}
    lines = [line_of("chunks", chunks, of_chunks(chunks), first) for chunks in (4, 16, 64)]
    for rows in (4, 16, 64):
        model = parts.model_of(400, HIDDEN, LAYERS)
        work = Work(model, 8, lengths_of(rows, 8, ragged=False), min(rows, 16))
        lines.append(line_of("rows", rows, work, first))
    columns = [
        f"{name}{unit}" for name in LAYOUTS for unit in (", us a token", ", times the first")
    ]
    print(parts.table(("what grows", "to", "tokens", *columns), lines))


if __name__ == "__main__":
    main()
