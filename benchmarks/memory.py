"""Peak memory of a training step in both layouts, as sequences grow.

    python -m benchmarks.memory        # about a minute on one core

A process for each layout and length: forward and backward of one sequence with gradient checkpointing. What is shown is
the growth of the process' peak over the loaded model (Linux).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.protocol import Mode
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.visibility import StreamingForward
from benchmarks import parts

LAYOUTS = ("interleaved", "parallel")
LENGTHS = (512, 2048, 8192)


def measure(name: Any, length: int) -> None:
    """Print the length of the sequence and the growth of this process' peak, in MiB."""
    streaming = StreamingConfig(layout=name, max_prompt_tokens=100_000)
    codec = parts.codec_of(streaming)
    layout, chunks = build_layout(streaming, codec), 1

    def encoded(count: int) -> Any:
        return layout.encode(parts.episode_of([parts.SENTENCE] * count, "e"), Mode.STREAMING)

    while len(encoded(chunks + 1).token_ids) <= length:
        chunks += 1
    sequence = encoded(chunks)
    model = parts.model_of(len(codec.tokenizer), 256, 4).train()
    model.gradient_checkpointing_enable()
    ids = torch.tensor([sequence.token_ids])
    visibility = layout.visibility(sequence)
    forward = model
    if visibility is not None:
        forward = StreamingForward(model, model, lambda _: torch.tensor([visibility]))
    parts.restart_peak()
    before = parts.kibibytes("VmRSS")
    forward(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    print(f"peak {(parts.kibibytes('VmHWM') - before) / 1024:.0f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or one measurement for the process that asks for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=2, metavar=("LAYOUT", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.measure:
        measure(options.measure[0], int(options.measure[1]))
        return
    lines = []
    for length in LENGTHS:
        arguments_of = [["--measure", layout, str(length)] for layout in LAYOUTS]
        lines.append([length, *(parts.printed("benchmarks.memory", each) for each in arguments_of)])
    print(parts.table(("tokens", "interleaved, MiB", "parallel, MiB"), lines))


if __name__ == "__main__":
    main()
