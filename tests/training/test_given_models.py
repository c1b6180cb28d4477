"""Models that a script gives to a trainer: what would train nothing, or save another model than it trained, is refused."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from adasr_trl import HRPOConfig, HRPOTrainer, StreamingSFTConfig, StreamingSFTTrainer
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.models.loading import load_policy
from support.settings import STREAMING

ROWS = [
    {
        "question": "How many coins has Tom?",
        "text": f"Tom has {n} coins. He finds 3.",
        "answer": n + 3,
        "thoughts": [f"Tom {n}", f"Tom {n} + 3 = {n + 3}"],
    }
    for n in range(1, 9)
]
LORA = {"r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}


@pytest.fixture
def base(tmp_path, model, tokenizer) -> str:
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return str(tmp_path / "base")


def sft(tmp_path, model, tokenizer, **given):
    args = StreamingSFTConfig(
        str(tmp_path / "run"), max_steps=1, use_cpu=True, bf16=False, report_to="none"
    )
    return StreamingSFTTrainer(
        model, args, ROWS, processing_class=tokenizer, streaming=STREAMING, **given
    )


def hrpo(tmp_path, model, tokenizer, **given):
    args = HRPOConfig(
        str(tmp_path / "run"), max_steps=1, num_generations=4, use_cpu=True, bf16=False, report_to="none"
    )  # fmt: skip
    rewards = ["accuracy", "format"]
    return HRPOTrainer(
        model, rewards, args, ROWS, processing_class=tokenizer, streaming=STREAMING, **given
    )


def adapted(base: str, **given: object) -> PeftModel:
    name = given.pop("adapter_name", "default")
    lora = LoraConfig(**LORA, **given)
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora, adapter_name=name)


def frozen(base: str) -> object:
    return AutoModelForCausalLM.from_pretrained(base).requires_grad_(False)


def read_back(base: str) -> PeftModel:
    adapted(base).save_pretrained(f"{base}-adapter")
    model = AutoModelForCausalLM.from_pretrained(base)
    return PeftModel.from_pretrained(model, f"{base}-adapter")  # PEFT's default: frozen


def disabled(base: str) -> PeftModel:
    made = adapted(base)
    made.base_model.disable_adapter_layers()
    return made


def merged(base: str) -> PeftModel:
    made = adapted(base)
    made.merge_adapter()
    return made


def second(base: str) -> PeftModel:
    made = adapted(base)
    made.add_adapter("second", LoraConfig(**LORA))
    made.set_adapter("second")
    return made


def compiled(base: str) -> object:
    return torch.compile(AutoModelForCausalLM.from_pretrained(base))


def without_weights(base: str) -> object:
    config = AutoModelForCausalLM.from_pretrained(base).config
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (frozen, "none of its weights is trained"),
        (read_back, "load its adapter with is_trainable=True"),
        (lambda base: adapted(base, inference_mode=True), "none of its weights is trained"),
        (disabled, "none of its weights is trained"),
        (merged, "its adapter is merged into the weights"),
        (
            lambda base: adapted(base, init_lora_weights="pissa_niter_4"),
            "got 'pissa_niter_4' as init_lora_weights",
        ),
        (second, "got second as active adapter; a run keeps the one called default"),
        (lambda base: adapted(base, adapter_name="mine"), "got mine as active adapter"),
        (compiled, "got OptimizedModule; expected a name"),
        (AutoModelForSequenceClassification.from_pretrained, "has no head that writes text"),
        (without_weights, "its weights are on the meta device"),
        (lambda _: {"model": 1}, "got dict; expected a name"),
    ],
)
@pytest.mark.parametrize("trainer", [sft, hrpo])
def test_a_model_whose_training_would_be_lost_is_refused(
    tmp_path, base, tokenizer, make, words, trainer
):
    with pytest.raises(UserError) as caught:
        trainer(tmp_path, make(base), tokenizer)
    assert str(caught.value).startswith("model: ")
    assert words in str(caught.value)


def test_a_second_adapter_is_refused_by_its_name_and_not_by_its_layers(tmp_path, base, tokenizer):
    with pytest.raises(UserError, match="peft_config: got one, but the model has an adapter"):
        sft(tmp_path, adapted(base), tokenizer, peft_config=LoraConfig(**LORA))


@pytest.mark.parametrize("start", ["pissa_niter_16", "corda", "lora_ga"])
def test_a_start_that_loading_would_not_find_again_is_refused(tmp_path, base, tokenizer, start):
    # Loaded, such a run would lie on other weights than it was trained on.
    added = LoraConfig(**LORA)
    added.init_lora_weights = start  # some need data in PEFT's own checks
    with pytest.raises(UserError, match=f"peft_config: got '{start}' as init_lora_weights, which"):
        sft(tmp_path, base, tokenizer, peft_config=added)


def test_a_tokenizer_with_more_tokens_than_the_embedding_has_rows(tmp_path, base, tokenizer):
    larger = copy.deepcopy(tokenizer)
    larger.add_tokens(["<one>", "<two>"])
    model = AutoModelForCausalLM.from_pretrained(base)
    rows = len(tokenizer)
    words = f"its embedding has {rows} rows, and the tokenizer {rows + 2} tokens; call model.resize"
    with pytest.raises(UserError, match=words):
        sft(tmp_path, model, larger)
    model.resize_token_embeddings(len(larger))
    sft(tmp_path, model, larger)


def test_two_adapters_of_which_the_runs_own_is_active_train_that_one(tmp_path, base, tokenizer):
    made = adapted(base)
    made.add_adapter("second", LoraConfig(**LORA))
    trainer = sft(tmp_path, made, tokenizer)
    trainer.train()
    trainer.save_model()
    ids = torch.arange(5, 45).unsqueeze(0)
    loaded = load_policy(ModelConfig(path=str(tmp_path / "run"), dtype="float32")).model
    with torch.no_grad():
        expected = made.eval()(input_ids=ids).logits
        assert torch.equal(loaded.eval()(input_ids=ids).logits, expected)


@pytest.mark.parametrize("temperature", [0.3, None])
def test_settings_of_generation_do_not_end_a_training_when_it_is_saved(
    tmp_path, base, tokenizer, temperature
):
    model = AutoModelForCausalLM.from_pretrained(base)
    if temperature is None:
        model.generation_config = None
    else:
        model.generation_config.temperature = temperature  # without do_sample
    trainer = sft(tmp_path, model, tokenizer)
    trainer.train()
    trainer.save_model()
    assert (tmp_path / "run" / "generation_config.json").is_file()


def test_a_setting_of_generation_without_meaning_is_refused_before_the_training(
    tmp_path, base, tokenizer
):
    model = AutoModelForCausalLM.from_pretrained(base)
    model.generation_config.max_new_tokens = -1
    with pytest.raises(UserError, match="`max_new_tokens` must be greater than 0"):
        sft(tmp_path, model, tokenizer)
