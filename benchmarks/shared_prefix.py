"""A training step over distinct tokens, against TRL's step and ours over padded rows: CPU time and peak memory.

    python -m benchmarks.shared_prefix                              # the table; about an hour on one core
    python -m benchmarks.shared_prefix --sources 128 --groups 4     # a look in a few minutes

One step is one group of G rollouts of one episode: a source of S tokens in 8 chunks, T written tokens (half of them in
thoughts), each rollout other ones. Equal rollouts write the same number; ragged ones skip 30 % of the chunks. All three
trainers get the same token ids, and time everything from the batch of episodes to the optimizer's step, but for the
rollouts. Beside each ratio stand the share of distinct tokens, and that of multiplications, computed from the shapes.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import random
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Qwen3ForCausalLM

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.rollout import Rollout
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.prefix_tree import prefix_tree
from benchmarks import parts
from benchmarks.rollout import PROMPT, Lengths, PlannedState, Work
from benchmarks.step import hrpo_steps, trl_steps

VOCABULARY, HIDDEN, LAYERS, CHUNKS = 32_000, 512, 8, 8
FORMS = ("TRL", "padded", "shared")


@dataclass(frozen=True)
class Case:
    """One line of the table: layout, S, T, G, and whether rollouts are ragged."""

    layout: str
    source: int
    written: int
    group: int
    ragged: bool
    model: Qwen3ForCausalLM | None = None  # by default a new random one

    @cached_property
    def work(self) -> Work:
        """The model and the requests."""
        model = self.model or parts.model_of(VOCABULARY, HIDDEN, LAYERS)
        words = parts.LONG_SENTENCE.split()
        count = (self.source - PROMPT) // CHUNKS
        sentence = "".join(f" {word}" for word in itertools.islice(itertools.cycle(words), count))
        return Work(model, CHUNKS, self._lengths(), self.group, sentence, self.written // 2)

    @cached_property
    def streaming(self) -> StreamingConfig:
        """The layout's configuration."""
        return self.work.streaming(self.layout)

    @cached_property
    def rollouts(self) -> list[Rollout]:
        """Rollouts of the planned lengths; what they write is random."""
        work, dice = self.work, random.Random(0)
        layout, ends = build_layout(self.streaming, work.codec), set(parts.end_ids(work.codec))
        ids = [token_id for token_id in range(len(work.codec.tokenizer)) if token_id not in ends]
        found = []
        for request, lengths in zip(work.requests, work.lengths, strict=True):
            state = PlannedState(request, layout, work.codec, self.streaming)
            state.lengths = lengths
            while not state.done:
                state.take(self.source)
                state.accept(dice.choice(ids), -1.0)
            found.append(state.rollout())
        return found

    def rows(self) -> tuple[Tensor, Tensor]:
        """Token ids and visibility of the rollouts, (G, L) each."""
        layout = build_layout(self.streaming, self.work.codec)
        ids = [torch.tensor(rollout.token_ids) for rollout in self.rollouts]
        visibility = [
            torch.tensor(layout.visibility(rollout) or range(1, len(rollout.token_ids) + 1))
            for rollout in self.rollouts
        ]
        return pad_sequence(ids, batch_first=True), pad_sequence(visibility, batch_first=True)

    def shares(self) -> tuple[float, float]:
        """Shares of distinct tokens, and of multiplications; TRL computes the head for all tokens."""
        ids, visibility = self.rows()
        tree, config = prefix_tree(ids, visibility), self.work.model.config
        in_layers = sum(weight.numel() for weight in self.work.model.model.layers.parameters())
        width = config.num_attention_heads * config.head_dim
        attended = 2 * config.num_hidden_layers * width  # of a query and a key
        head = config.vocab_size * config.hidden_size * 4 / 3  # logits again for their gradient
        pairs = sum(
            size * sum(tree.segment_sizes[key] for key in part.keys)
            for size, part in zip(tree.segment_sizes, tree.attention, strict=True)
        )
        nodes, (rows, length) = len(tree.ids_N), ids.shape
        shared = nodes * in_layers + pairs * attended + self.work.written * head
        padded = rows * length * (in_layers + length * attended + head)
        return nodes / int((visibility != 0).sum()), shared / padded

    def cells(self) -> list[str]:
        """The cells of the table that need no measurement."""
        return [
            *(self.layout, "ragged" if self.ragged else "equal"),
            *map(str, (self.source, self.written, self.group)),
            *(f"{share:.2f}" for share in self.shares()),
        ]

    def steps(self, form: str, count: int) -> list[float]:
        """CPU seconds of ``count`` steps of one form, behind one that prepares."""
        gc.collect()
        with tempfile.TemporaryDirectory() as folder:
            if form == "TRL":
                return trl_steps(self.work, self.rollouts, folder, max_steps=count + 1)
            return hrpo_steps(
                *(self.work, self.rollouts, folder, self.streaming),
                max_steps=count + 1,
                shared_prefix=form == "shared",
            )

    def _lengths(self) -> Lengths:
        thought, dice = self.written // 2 // CHUNKS, random.Random(0)

        def length() -> int:
            if not self.ragged:
                return thought
            return 1 if dice.random() < 0.3 else dice.randint(2, 3 * thought - 2)

        deep = self.written // 2
        return tuple((*(length() for _ in range(CHUNKS)), deep) for _ in range(self.group))


def memory(case: Case, form: str) -> None:
    """Print the growth of this process' peak memory over one step, in MiB."""
    _ = case.rollouts
    parts.restart_peak()
    before = parts.kibibytes("VmRSS")
    case.steps(form, 0)
    print(f"peak {(parts.kibibytes('VmHWM') - before) / 1024:.0f}")


def measured(case: Case, repeats: int, *, forms: Sequence[str], with_memory: bool) -> list[str]:
    """The measured cells of a row of the table."""
    seconds = {form: case.steps(form, repeats) for form in forms}
    peaks: dict[str, str] = {}
    if with_memory:
        flags = [
            *(f"--layouts={case.layout}", f"--shapes={'ragged' if case.ragged else 'equal'}"),
            *(f"--sources={case.source}", f"--written={case.written}", f"--groups={case.group}"),
        ]
        peaks = {
            form: parts.printed("benchmarks.shared_prefix", ["--memory", form, *flags])
            for form in ("TRL", "shared")
        }
    return [
        *(f"{statistics.median(seconds[form]):.1f}" if form in seconds else "-" for form in FORMS),
        parts.ratio(seconds["shared"], seconds["TRL"]),
        parts.ratio(seconds["shared"], seconds["padded"]) if "padded" in seconds else "-",
        f"{int(peaks['shared']) / int(peaks['TRL']):.2f}" if peaks else "-",
    ]


HEADER = (
    *(
        "layout",
        "rollouts",
        "S",
        "T",
        "G",
        "distinct tokens",
        "multiplications",
        "TRL, s",
        "padded, s",
        "shared, s",
    ),
    *("shared / TRL", "shared / padded", "peak memory, shared / TRL"),
)


def numbers(text: str) -> list[int]:
    """Comma-separated numbers."""
    return [int(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layouts", default="parallel,interleaved")
    parser.add_argument("--sources", default="128,512,2048", type=numbers, help="S")
    parser.add_argument("--written", default="64,128", type=numbers, help="T")
    parser.add_argument("--groups", default="4,8,16", type=numbers, help="G")
    parser.add_argument("--repeats", type=int, default=parts.REPEATS)
    parser.add_argument("--shapes", default="equal,ragged")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument(
        "--no-padded", action="store_true", help="TRL's step and the shared one only"
    )
    parser.add_argument("--shares", action="store_true", help="compute shares, measure nothing")
    parser.add_argument("--memory", metavar="FORM", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cases = [
        Case(layout, source, written, group, shape == "ragged")
        for layout in options.layouts.split(",")
        for shape in options.shapes.split(",")
        for source in options.sources
        for written in options.written
        for group in options.groups
    ]
    if options.memory:
        memory(cases[0], options.memory)
        return
    header = HEADER[:7] if options.shares else HEADER
    for line in [header, ["---"] * len(header)]:
        print(f"| {' | '.join(line)} |")
    for case in cases:
        cells = case.cells()
        if not options.shares:
            forms = [form for form in FORMS if not (options.no_padded and form == "padded")]
            cells += measured(case, options.repeats, forms=forms, with_memory=not options.no_memory)
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
