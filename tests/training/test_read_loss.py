"""The first steps of SFT may have their loss on READ tokens, too."""

from __future__ import annotations

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.training.sft import IGNORED, StreamingSFTConfig, StreamingSFTTrainer
from support import workspace


def test_for_the_first_steps_every_token_but_padding_is_a_label(tmp_path, episodes, monkeypatch):
    workspace.make(tmp_path, episodes)
    seen = []
    real = StreamingSFTTrainer.compute_loss

    def compute_loss(self, model, inputs, *args, **kwargs):
        if model.training:
            labels, mask = inputs["labels"], inputs["attention_mask"].bool()
            counted = int((labels[:, 1:] != IGNORED).sum())
            assert int(kwargs["num_items_in_batch"]) == counted
            seen.append(bool((labels[mask] != IGNORED).all()))
            assert not bool((labels[~mask] != IGNORED).any())
        return real(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(StreamingSFTTrainer, "compute_loss", compute_loss)
    settings = ["--max_steps", "4", "--read_loss_share", "0.5", "--muon_learning_rate", "0.02"]
    assert adasr(["sft", "--config", str(tmp_path / "sft.yaml"), *settings]) == 0
    assert seen[:2] == [True, True]
    assert not any(seen[2:])
    assert len(seen) == 4


def test_packed_rows_have_no_padding_to_leave_out():
    with pytest.raises(ValueError, match=r"padding_free: .* shared_prefix"):
        StreamingSFTConfig(
            "runs/x", read_loss_share=0.5, padding_free=True, use_cpu=True, bf16=False
        )


def test_muon_is_refused_beside_deepspeed():
    with pytest.raises(ValueError, match="muon_learning_rate"):
        StreamingSFTConfig(
            "runs/x",
            muon_learning_rate=0.02,
            deepspeed={"zero_optimization": {"stage": 0}},
            use_cpu=True,
            bf16=False,
        )
