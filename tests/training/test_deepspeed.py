"""DeepSpeed on CPU processes trains to the weights of plain training, and its checkpoints resume to the same weights.

Each run is ``adasr sft`` in processes of their own (``sharded``).
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from support.sharded_runs import NEGLIGIBLE, TOLERANCE, apart, launch, make_root

LORA = ("--lora.r", "4", "--lora.dropout", "0.1")


@pytest.fixture(scope="module")
def root(tmp_path_factory, episodes):
    root = tmp_path_factory.mktemp("sharded")
    make_root(root, episodes)
    return root


@pytest.fixture(scope="module")
def plain(root):
    """The plain run of so many processes, made once each."""
    made: dict[int, Path] = {}

    def of(processes: int) -> Path:
        if processes not in made:
            made[processes] = launch(root, "plain", processes)
        return made[processes]

    return of


CASES = [
    pytest.param("zero2", 1, marks=pytest.mark.slow),
    ("zero2", 2),
    pytest.param("zero3", 1, marks=pytest.mark.slow),
    ("zero3", 2),
]


@pytest.mark.parametrize(("kind", "processes"), CASES)
def test_the_weights_are_those_of_plain_training_and_a_cut_run_resumes_to_them(
    root, plain, kind, processes
):
    reference, found = plain(processes), launch(root, kind, processes)
    gradients = torch.load(reference / "gradients.pt", weights_only=True)
    assert sum((each >= NEGLIGIBLE).sum().item() for each in gradients.values()) > 10_000
    assert apart(root / "base", reference / "whole") > 1e-4  # three steps of 1e-4
    assert apart(reference / "whole", found / "whole", gradients) < TOLERANCE
    assert apart(reference / "whole", reference / "cut") == 0.0
    assert apart(found / "whole", found / "cut") == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zero2", "zero3"])
def test_padded_rows_train_to_the_weights_of_distinct_tokens(root, plain, kind):
    reference, found = plain(2), launch(root, kind, 2, "--shared_prefix", "false")
    gradients = torch.load(reference / "gradients.pt", weights_only=True)
    assert apart(reference / "whole", found / "whole", gradients) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "quantization"),
    [("zero2", "none"), ("zero2", "nf4"), ("zero3", "none")],
)
def test_adapters_resume_to_the_weights_of_an_uninterrupted_run(root, kind, quantization):
    bits = ("--model.quantization", f"{{kind: {quantization}, compute_dtype: float32}}")
    found = launch(root, kind, 2, *LORA, *bits)
    assert apart(found / "whole", found / "cut") == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["zero2-offload", "zero3-offload"])
def test_offloaded_state_trains_to_the_weights_of_plain_training(root, plain, kind):
    """DeepSpeed compiles its CPU AdamW here, once: more than a minute. Its resumed steps may round otherwise."""
    reference, found = plain(1), launch(root, kind, 1)
    gradients = torch.load(reference / "gradients.pt", weights_only=True)
    assert apart(reference / "whole", found / "whole", gradients) < TOLERANCE
    assert apart(found / "whole", found / "cut") < 1e-6
