"""HRPO and SFT over distinct tokens against whole rows: three steps of SGD end at the same weights."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig

from adasr_trl.engines import hf
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.training.data import Data, Texts
from adasr_trl.training.sft import StreamingSFTConfig, StreamingSFTTrainer
from support.families import GOOD, build
from support.hrpo_training import REWARDS, SETTINGS, train
from support.parallel_layout import parts_for
from support.scripted import Script
from support.settings import PARALLEL, STREAMING

STREAMINGS = {"interleaved": STREAMING, "parallel": PARALLEL}
PLAINLY = {"optim": "sgd", "learning_rate": 0.1, "max_steps": 3}
SPLIT = {  # two optimizer steps of two micro-batches a generation batch, each batch used twice
    "num_iterations": 2,
    "steps_per_generation": 4,
    "generation_batch_size": None,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "beta": 0.1,
}
FORMS = {
    "all weights": ({}, None),
    "split": (SPLIT, None),
    "checkpointing": ({"gradient_checkpointing": True, "loss_type": "grpo"}, None),
    "adapter": ({"beta": 0.1}, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")),
}


def weights_of(trainer):
    """The weights after training, which has moved them."""
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    train(trainer)
    after = [parameter.detach() for parameter in trainer.model.parameters()]
    assert farthest(before, after) > 1e-4
    return after


def farthest(some, others):
    return max((a - b).abs().max().item() for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("layout", list(STREAMINGS))
@pytest.mark.parametrize("form", list(FORMS))
def test_three_steps_over_distinct_tokens_end_at_the_weights_of_whole_rows(
    model, tokenizer, episodes, tmp_path, monkeypatch, layout, form
):
    changes, adapter = FORMS[form]
    model.save_pretrained(tmp_path / "start")  # TRL loads the reference from there
    model = type(model).from_pretrained(tmp_path / "start")
    streaming = STREAMINGS[layout]
    script = Script(tokenizer, episodes[:6], streaming)
    monkeypatch.setattr(hf, "HFEngine", lambda *_args: script)
    found = []
    for shares in (True, False):
        torch.manual_seed(0)  # of a new adapter
        trainer = HRPOTrainer(
            copy.deepcopy(model),
            args=HRPOConfig(str(tmp_path / "run"), **{**SETTINGS, **PLAINLY, **changes}),
            train_dataset=episodes[:6],
            streaming=streaming,
            reward_funcs=REWARDS,
            processing_class=tokenizer,
            peft_config=copy.deepcopy(adapter),
        )
        if not shares:
            trainer._shares = False  # whole rows, in the same order
        found.append(weights_of(trainer))
        assert trainer._shares is shares
        assert trainer.model.config._attn_implementation == "sdpa"
    assert farthest(*found) <= 1e-6


def test_sharing_ends_an_optimizer_step_at_whole_groups_and_off_leaves_trls_order(
    model, tokenizer, episodes, tmp_path, monkeypatch
):
    script = Script(tokenizer, episodes[:6])
    monkeypatch.setattr(hf, "HFEngine", lambda *_args: script)
    groups = {}
    for shares in (True, False):
        args = HRPOConfig(str(tmp_path), **{**SETTINGS, **SPLIT, "beta": 0.0}, shared_prefix=shares)
        trainer = HRPOTrainer(
            copy.deepcopy(model),
            args=args,
            train_dataset=episodes[:6],
            streaming=STREAMING,
            reward_funcs=REWARDS,
            processing_class=tokenizer,
        )
        torch.manual_seed(0)
        rows = [row for row in trainer.train_dataset.select(range(4)) for _ in range(4)]
        trainer._prepare_inputs(rows)
        groups[shares] = [batch["group"].tolist() for batch in trainer._buffered_inputs]
    assert all(len(set(batch)) == 1 for batch in groups[True])
    assert sorted(batch[0] for batch in groups[True]) == [0, 1, 2, 3]
    assert any(len(set(batch)) > 1 for batch in groups[False])


@pytest.mark.parametrize("shares", [False, True])
def test_learned_positions_do_not_count_the_padding_before_a_row(
    tokenizer, episodes, tmp_path, shares
):
    """A row's log-probabilities are the same alone and beside a longer prompt."""
    trainer = HRPOTrainer(
        build(GOOD["gpt2"], len(tokenizer), scale=2.0),
        args=HRPOConfig(str(tmp_path), **SETTINGS, shared_prefix=shares),
        train_dataset=episodes[:6],
        streaming=STREAMING,
        reward_funcs=REWARDS,
        processing_class=tokenizer,
    )
    trainer.model.eval()
    ids = torch.randint(5, 50, (2, 20), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :6] = 0
    with torch.no_grad():
        logps, *_ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 9)
        alone, *_ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids[:1, 6:], mask[:1, 6:], 9
        )
    assert trainer.shares(trainer.model, two_streams=False) is shares
    assert torch.allclose(logps[:1], alone, atol=1e-5)


@pytest.mark.parametrize("layout", list(STREAMINGS))
@pytest.mark.parametrize("checkpointing", [False, True])
def test_supervised_steps_without_padding_end_at_the_weights_of_padded_ones(
    model, tokenizer, episodes, tmp_path, layout, checkpointing
):
    streaming = STREAMINGS[layout]
    texts = Texts(
        Data(episodes[:8], episodes[8:12]), tokenizer, streaming, *parts_for(tokenizer, streaming)
    )
    found, logs = [], []
    for shared_prefix in (True, False):
        args = StreamingSFTConfig(
            output_dir=str(tmp_path),
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            gradient_checkpointing=checkpointing,
            logging_steps=1,
            shared_prefix=shared_prefix,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            **{"disable_tqdm": True, **PLAINLY},
        )
        trainer = StreamingSFTTrainer(copy.deepcopy(model), args, texts)
        found.append(weights_of(trainer))
        assert bool(trainer._shares) is shared_prefix
        logs.append([line for line in trainer.state.log_history if "loss" in line])
        logs[-1].append(trainer.evaluate())
    assert farthest(*found) <= 1e-6
    keys = ("loss", "eval_loss", "entropy", "mean_token_accuracy", "num_tokens")
    for some, others in zip(*logs, strict=True):
        for key in set(keys) & set(some):
            assert some[key] == pytest.approx(others[key], rel=1e-4), key
