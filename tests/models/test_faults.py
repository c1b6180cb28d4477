"""Models that others made: what cannot be loaded as it is, is one line, and nothing is drawn at random in its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GenerationConfig, T5Config

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers
from adasr_trl.models.loading import load_model, load_tokenizer, positions_of
from support import workspace
from support.runs import run


@pytest.fixture
def base(tmp_path, model, tokenizer) -> Path:
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def adapter(base, tokenizer) -> Path:
    folder = base.with_name("adapter")
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def change(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def loaded(folder: Path) -> object:
    config = ModelConfig(path=str(folder))
    return load_model(config, load_tokenizer(config, Markers(), ()), seed=0)


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        loaded(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_that_a_file_lacks_are_not_drawn_at_random(base):
    change(base / "config.json", num_hidden_layers=3, layer_types=["full_attention"] * 3)
    text = refusal(base)
    assert text.startswith(f"{base}: lacks 11 weights of a causal language model")
    assert "model.layers.2." in text


def test_weights_of_another_shape_are_named_with_both(base):
    change(base / "config.json", vocab_size=300)
    size = load_file(base / "model.safetensors")["model.embed_tokens.weight"].shape[0]
    assert f"model.embed_tokens.weight with ({size}, 32) for (300, 32)" in refusal(base)


def test_a_classifier_without_a_head_for_text_is_refused(base):
    from transformers import AutoModelForSequenceClassification

    made = AutoModelForSequenceClassification.from_pretrained(base, tie_word_embeddings=False)
    made.save_pretrained(base)
    assert "lacks 1 weights of a causal language model of its config.json, such as lm_head.weight" in refusal(base)  # fmt: skip


def test_an_encoder_decoder_is_told_from_a_causal_model(base):
    T5Config(d_model=32).save_pretrained(base)
    assert "is no causal language model that transformers knows (T5Config)" in refusal(base)


def test_code_in_a_model_names_the_key_that_trusts_it(base):
    names = {"AutoConfig": "conf.Mine", "AutoModelForCausalLM": "conf.Model"}
    change(base / "config.json", model_type="mine", auto_map=names)
    with pytest.raises(UserError, match=r"set model\.trust_remote_code: true if you trust it"):
        positions_of(ModelConfig(path=str(base)))


def test_a_missing_shard_and_a_missing_file_name_their_model(base):
    made = AutoModelForCausalLM.from_pretrained(base)
    (base / "model.safetensors").unlink()
    assert refusal(base).startswith(f"{base}: cannot be loaded (OSError: Error no file named")
    made.save_pretrained(base, max_shard_size="20KB")
    shard = sorted(base.glob("model-*.safetensors"))[1]
    shard.unlink()
    assert refusal(base).startswith(f"{base}: cannot be loaded (FileNotFoundError")


def test_a_broken_configuration_or_tokenizer_names_its_file(base):
    whole = (base / "tokenizer.json").read_text()
    (base / "tokenizer.json").write_text(whole.replace('"ByteLevel"', '"Shiny"'))
    assert refusal(base).startswith(f"{base}: ")
    (base / "tokenizer.json").write_text(whole)
    (base / "config.json").write_text('{"model_type"')
    assert refusal(base).startswith(f"{base / 'config.json'}: cannot be read as JSON")


class Code:
    def __reduce__(self):
        return print, ("ran",)


def test_a_pickle_with_objects_is_not_called_damaged_and_runs_nothing(base, capsys):
    (base / "model.safetensors").unlink()
    torch.save({"model.norm.weight": Code()}, base / "pytorch_model.bin")
    assert "holds Python objects beside weights, whose loading could run code" in refusal(base)
    assert "ran" not in capsys.readouterr().out


def test_an_adapter_on_its_base_loads(adapter):
    assert sum("lora_" in name for name, _ in loaded(adapter).named_parameters()) == 4


@pytest.mark.parametrize(
    ("before", "behind"), [("layers.1.", "layers.7."), ("base_model.model.model", "base_model.model.model.model")]
)  # fmt: skip
def test_an_adapter_of_other_layers_is_not_left_random(adapter, before, behind):
    file = adapter / "adapter_model.safetensors"
    weights = {name.replace(before, behind): tensor for name, tensor in load_file(file).items()}
    save_file(weights, file, {"format": "pt"})
    assert "its adapter and its base have different layers" in refusal(adapter)


def test_an_adapter_of_more_layers_than_its_base_is_refused(adapter, base):
    file = base / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if "layers.1." not in name}
    save_file(kept, file, {"format": "pt"})
    change(base / "config.json", num_hidden_layers=1, layer_types=["full_attention"])
    assert "such as base_model.model.model.layers.1.self_attn.q_proj.lora_A" in refusal(adapter)


def test_an_adapter_without_weights_or_of_an_unknown_kind_is_named(adapter, base):
    change(adapter / "adapter_config.json", peft_type="SUPER")
    assert "got 'SUPER' as peft_type, which this version of PEFT does not know" in refusal(adapter)
    prompt = PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), prompt).save_pretrained(adapter)
    assert "got PROMPT_TUNING as peft_type; rollouts need an adapter" in refusal(adapter)
    change(adapter / "adapter_config.json", peft_type="LORA", init_lora_weights="pissa_niter_4")
    assert "got 'pissa_niter_4' as init_lora_weights, which takes a part out" in refusal(adapter)
    change(adapter / "adapter_config.json", init_lora_weights=True)
    (adapter / "adapter_model.safetensors").unlink()
    assert refusal(adapter).startswith(f"{adapter}: holds no adapter_model.safetensors")


def test_settings_of_generation_that_contradict_each_other_do_not_end_a_training(
    tmp_path, episodes, base, caplog
):
    given = {"do_sample": False, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.3}
    change(base / "generation_config.json", **given)
    workspace.make(tmp_path, episodes)
    flags = ("--model", f"{{path: {base}}}", "--max_steps", "1", "--eval_strategy", "no")
    assert run("sft", tmp_path, *flags) == 0
    assert "temperature, top_p without effect there" in caplog.text
    kept = GenerationConfig.from_pretrained(tmp_path / "sft")
    assert (kept.temperature, kept.top_p, kept.repetition_penalty) == (None, None, 1.3)


def test_a_setting_of_generation_without_meaning_is_refused_before_a_training(base):
    change(base / "generation_config.json", max_new_tokens=-1)
    assert "`max_new_tokens` must be greater than 0" in refusal(base)


def test_a_run_that_lost_its_configuration_ends_a_command_in_a_line(tmp_path, base, capsys):
    from adasr_trl.cli.main import main as adasr
    from adasr_trl.core.demo import FOLDER

    folder = shutil.copytree(FOLDER, tmp_path / "run")
    (folder / "config.json").unlink()
    story = tmp_path / "story.txt"
    story.write_text("Tom has 5 coins.")
    assert adasr(["stream", str(folder), "--replay", str(story), "--question", "How many?"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {folder}: cannot be loaded")
