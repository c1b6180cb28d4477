"""LoRA: HRPO goes on with SFT's adapter, and its first logits are SFT's."""

from __future__ import annotations

from pathlib import Path

import torch

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.protocol import Markers
from adasr_trl.models.loading import load_model, load_tokenizer
from support import workspace
from support.runs import logits, run


def test_hrpo_continues_the_sft_adapter_and_starts_with_its_logits(tmp_path, episodes, monkeypatch):
    workspace.make(tmp_path, episodes)
    base, adapter = tmp_path / "base", tmp_path / "sft"
    assert run("sft", tmp_path, "--output_dir", str(base), "--max_steps", "1") == 0
    flags = ("--model", f"{{path: {base}}}", "--lora.r", "4", "--learning_rate", "0.05")
    assert run("sft", tmp_path, *flags) == 0
    assert (adapter / "adapter_model.safetensors").is_file()

    ids = torch.arange(5, 45).unsqueeze(0)
    before = logits(load(adapter), ids)
    assert (before - logits(load(base), ids)).abs().max() > 1e-3

    first = []

    def spy(self, *args, **kwargs):
        if not first:
            names = [name for name, p in self.model.named_parameters() if p.requires_grad]
            first.append((logits(self.model, ids), names))
        return train(self, *args, **kwargs)

    from adasr_trl.hrpo import HRPOTrainer

    train = HRPOTrainer.train
    monkeypatch.setattr(HRPOTrainer, "train", spy)
    assert run("hrpo", tmp_path, "--max_steps", "2") == 0
    found, trained = first[0]
    assert torch.equal(found, before)
    assert trained
    assert all("lora_" in name for name in trained)
    assert sum("lora_A" in name for name in trained) == 14  # 7 layers twice: one adapter
    assert (tmp_path / "hrpo" / "adapter_model.safetensors").is_file()


def load(path: Path) -> torch.nn.Module:
    config = ModelConfig(path=str(path))
    return load_model(config, load_tokenizer(config, Markers(), ()), seed=0)
