"""A base that somebody stored in 4 or 8 bits (bitsandbytes): an adapter on it is the one that was trained, and merges."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("bitsandbytes")

from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from adasr_trl.hub.push import Push, prepare
from adasr_trl.hub.verify import Form, verify
from support import workspace
from support.runs import run


@pytest.mark.parametrize("bits", ["load_in_4bit", "load_in_8bit"])
def test_an_adapter_on_stored_bits_is_saved_as_trained_and_merges(
    tmp_path, episodes, model, tokenizer, bits
):
    model.save_pretrained(tmp_path / "whole")
    packed = AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", quantization_config=BitsAndBytesConfig(**{bits: True})
    )
    packed.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    workspace.make(tmp_path, episodes)
    flags = ("--model", f"{{path: {tmp_path / 'base'}}}", "--lora.r", "2", "--max_steps", "1")
    assert run("sft", tmp_path, *flags, "--eval_strategy", "no") == 0
    saved = tmp_path / "sft"
    assert verify(str(saved), Form.SAVED, device="cpu").within
    how = Push("me/mine", merge=True, without_eval=True)
    (tmp_path / "out").mkdir()
    files = prepare(saved, how, tmp_path / "out", ask_hub=False).files
    assert "quantization_config" not in json.loads(files["config.json"].read_text())
    merged = AutoModelForCausalLM.from_pretrained(files["config.json"].parent)
    assert {str(weight.dtype) for weight in merged.parameters()} == {"torch.float32"}
