"""A step of Muon as it is on a CPU here against torch's, on the matrices of the embedded default.

    python -m benchmarks.muon          # about 20 seconds on one core

Matrices of 3 layers of width 128 with a multilayer perceptron of 384. CPU seconds of a step, both in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
from torch.optim import Muon

from adasr_trl.training.muon import CpuMuon
from benchmarks import parts

LAYER = (*[(128, 128)] * 4, *[(384, 128)] * 2, (128, 384))
LAYERS, STEPS = 3, 10


def seconds_of(optimizer: type[Muon]) -> float:
    """CPU seconds of one step: the median of ten."""
    torch.manual_seed(0)
    matrices = [torch.nn.Parameter(torch.randn(shape)) for shape in LAYER * LAYERS]
    for matrix in matrices:
        matrix.grad = torch.randn_like(matrix)
    stepped = optimizer(matrices, adjust_lr_fn="match_rms_adamw")
    stepped.step()  # type: ignore[no-untyped-call]  # torch's
    times = []
    for _ in range(STEPS):
        begun = time.process_time()
        stepped.step()  # type: ignore[no-untyped-call]
        times.append(time.process_time() - begun)
    return statistics.median(times)


def main(_arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    turns = [(seconds_of(Muon), seconds_of(CpuMuon)) for _ in range(parts.REPEATS)]
    ratios = [ours / torchs for torchs, ours in turns]
    kind = torch.backends.cpu.get_cpu_capability()
    print("| instructions | torch's, CPU ms | here, CPU ms | times torch's |")
    print("| --- | --- | --- | --- |")
    torchs, ours = (1000 * statistics.median(times) for times in zip(*turns, strict=True))
    print(
        f"| {kind} | {torchs:.1f} | {ours:.1f} | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}) |"
    )


if __name__ == "__main__":
    main()
