"""Training under streaming attention: SFT's loss, RL's log-probabilities, padding, LoRA, checkpointing, whole commands."""

from __future__ import annotations

import copy
import json
from functools import partial

import pytest
import torch
from peft import LoraConfig

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.config.sections import RewardConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.evaluation.records import load_rollouts
from adasr_trl.evaluation.settings import Setting, recorded_settings
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.rewards import build_rewards
from adasr_trl.training.data import Data, Texts
from adasr_trl.training.sft import StreamingSFTConfig, StreamingSFTTrainer
from support import hrpo_training, workspace
from support.hrpo_training import SETTINGS, train
from support.parallel_layout import full_logps, parts_for
from support.runs import assert_equal, kill_at
from support.settings import ON_CPU, PARALLEL

REWARDS = build_rewards(
    [
        RewardConfig("accuracy", "global"),
        RewardConfig("format", "streaming", 1.0, {"partial_credit": True}),
        RewardConfig("l1_exact", "deep", 1.0, {"target_tokens": 6, "alpha": 0.1}),
    ],
    PARALLEL,
)


hrpo = partial(hrpo_training.hrpo, rewards=REWARDS, streaming=PARALLEL)


# ---- reinforcement learning


def reference_logps(model, batch, rollouts_by_ids, temperature):
    """Log-probabilities of a batch's rows by one dense forward each, on unpadded tokens."""
    width = batch["completion_ids"].size(1)
    found = torch.zeros(len(batch["completion_ids"]), width)
    for row, completion in enumerate(batch["completion_ids"]):
        length = int(batch["completion_mask"][row].sum())
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
        ids = (*prompt.tolist(), *completion[:length].tolist())
        rollout = rollouts_by_ids[ids]
        _, logits = full_logps(model, rollout, fed=True)
        logps = torch.log_softmax(logits.float() / temperature, dim=-1)
        target = torch.tensor(ids[1:])
        values = logps[:-1].gather(1, target[:, None])[:, 0]
        found[row, :length] = values[len(prompt) - 1 :]
    return found


def test_old_and_reference_log_probabilities_equal_a_slow_reference_after_shuffle_and_split(
    model, tokenizer, episodes, tmp_path, monkeypatch
):
    """num_iterations 2, steps_per_generation 2, beta above 0: every micro-batch of three steps is checked."""
    model.save_pretrained(tmp_path / "start")  # TRL loads the reference from there
    model = type(model).from_pretrained(tmp_path / "start")
    trainer = hrpo(
        model,
        tokenizer,
        episodes,
        tmp_path / "run",
        num_iterations=2,
        steps_per_generation=2,
        generation_batch_size=None,
        gradient_accumulation_steps=1,
        beta=0.1,
        temperature=0.8,
        max_steps=8,
    )
    start = copy.deepcopy(model).eval()
    checked = []
    plain = trainer._compute_loss

    def check(trained, inputs):
        rollouts = {r.rollout.token_ids: r.rollout for r in trainer.generation_batch.rollouts}
        if trainer._step % 4 == 0:
            checked.append(copy.deepcopy(start))  # what samples the generation batch
            checked[-1].load_state_dict(trainer.model.state_dict())
        mask = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        for name, used in (("old_per_token_logps", checked[-1]), ("ref_per_token_logps", start)):
            slow = reference_logps(used, inputs, rollouts, 0.8)
            assert (inputs[name] - slow)[mask].abs().max() < 1e-4, name
        return plain(trained, inputs)

    monkeypatch.setattr(trainer, "_compute_loss", check)
    train(trainer)
    assert len(checked) == 2
    moved = [
        (p - q).abs().max()
        for p, q in zip(model.parameters(), trainer.model.parameters(), strict=True)
    ]
    assert max(moved) > 1e-4


def test_given_tokens_get_a_gradient_of_exactly_zero(
    model, tokenizer, episodes, tmp_path, monkeypatch
):
    trainer = hrpo(model, tokenizer, episodes, tmp_path)
    rows = [row for row in trainer.train_dataset.select([0, 1]) for _ in range(4)]
    batch = trainer._generate_and_score_completions(rows)
    given = batch["tool_mask"] == 0
    header = len(trainer._codec.prompt_parts("")[1])
    assert given[:, :header].all()  # the header opens the target, and is given
    assert batch["advantages"][given].abs().max() == 0.0
    assert batch["advantages"].abs().max() > 0.0


def test_without_streaming_attention_the_log_probabilities_would_be_others(
    model, tokenizer, episodes, tmp_path
):
    trainer = hrpo(model, tokenizer, episodes, tmp_path)
    rows = [row for row in trainer.train_dataset.select([0, 1]) for _ in range(4)]
    batch = trainer._generate_and_score_completions(rows)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    width = batch["completion_ids"].size(1)
    written = (batch["completion_mask"] * batch["tool_mask"]).bool()
    recorded = batch["sampling_per_token_logps"]
    with trainer._with_rows(batch["visibility"]):
        right, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, width)
    causal, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, width)
    assert (right - recorded)[written].abs().max() < 1e-4
    assert (causal - recorded)[written].abs().max() > 1e-2


def test_the_reference_of_a_new_adapter_is_the_base_under_the_same_attention(
    model, tokenizer, episodes, tmp_path, monkeypatch
):
    """With KL on, TRL switches the adapter off; untrained it changes nothing, so both give the recorded numbers."""
    from peft import LoraConfig

    trainer = HRPOTrainer(
        copy.deepcopy(model),
        args=HRPOConfig(str(tmp_path), **{**SETTINGS, "beta": 0.1, "max_steps": 1}),
        train_dataset=episodes[:6],
        streaming=PARALLEL,
        reward_funcs=REWARDS,
        processing_class=tokenizer,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    seen = []
    plain = trainer._compute_loss
    monkeypatch.setattr(
        trainer, "_compute_loss", lambda m, inputs: seen.append(inputs) or plain(m, inputs)
    )
    train(trainer)
    for inputs in seen:
        mask = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        apart = inputs["ref_per_token_logps"] - inputs["sampling_per_token_logps"]
        assert apart[mask].abs().max() < 1e-4
    assert len(seen) == 2


def test_padding_to_a_multiple_changes_no_log_probability(model, tokenizer, episodes, tmp_path):
    trainer = hrpo(model, tokenizer, episodes, tmp_path, pad_to_multiple_of=64)
    rows = [row for row in trainer.train_dataset.select([0, 1]) for _ in range(4)]
    batch = trainer._generate_and_score_completions(rows)
    width = batch["completion_ids"].size(1)
    assert width % 64 == 0
    assert width > batch["visibility"].size(1)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    with trainer._with_rows(batch["visibility"]):
        found, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, width)
    written = (batch["completion_mask"] * batch["tool_mask"]).bool()
    assert (found - batch["sampling_per_token_logps"])[written].abs().max() < 1e-4


def test_evaluation_while_training_runs_in_parallel(model, tokenizer, episodes, tmp_path):
    changes = {"per_device_eval_batch_size": 4, "num_generations_eval": 1}
    trainer = HRPOTrainer(
        copy.deepcopy(model),
        args=HRPOConfig(str(tmp_path), **{**SETTINGS, **changes}),
        train_dataset=episodes[:6],
        eval_dataset=episodes[6:14],
        streaming=PARALLEL,
        reward_funcs=REWARDS,
        processing_class=tokenizer,
    )
    assert trainer.evaluate()["eval_loss"] == pytest.approx(0.0, abs=10.0)


# ---- supervised fine-tuning


def texts_for(tokenizer, episodes):
    codec, layout = parts_for(tokenizer, PARALLEL)
    return Texts(Data(episodes[:8], episodes[8:12]), tokenizer, PARALLEL, codec, layout)


def settings_for(out, **changes):
    fixed = {
        "per_device_train_batch_size": 4,
        "max_steps": 2,
        "learning_rate": 1e-3,
        **ON_CPU,
    }
    return StreamingSFTConfig(output_dir=str(out), **{**fixed, **changes})


def naive_loss(model, texts, episodes):
    """Mean negative log-probability of the written tokens, one dense forward an episode."""
    total, count = 0.0, 0
    for episode in episodes:
        encoded = texts.layout.encode(episode, Mode.STREAMING)
        logps, _ = full_logps(model, encoded, fed=True)
        mask = torch.tensor(encoded.phases[1:]) != Phase.READ
        total -= logps[mask].sum().item()
        count += int(mask.sum())
    return total / count


def test_the_loss_of_ragged_batches_is_that_of_single_episodes(
    model, tokenizer, episodes, tmp_path
):
    texts = texts_for(tokenizer, episodes)
    trainer = StreamingSFTTrainer(copy.deepcopy(model), settings_for(tmp_path), texts)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    assert len({int(n) for n in batch["attention_mask"].sum(dim=1)}) > 1
    loss = trainer.compute_loss(trainer.model.eval(), dict(batch)).item()
    assert loss == pytest.approx(naive_loss(model, texts, episodes[:4]), abs=1e-4)


def test_evaluation_and_gradient_checkpointing_keep_the_mask(model, tokenizer, episodes, tmp_path):
    texts = texts_for(tokenizer, episodes)
    losses = []
    for checkpointing in (False, True):
        args = settings_for(tmp_path, gradient_checkpointing=checkpointing)
        trainer = StreamingSFTTrainer(copy.deepcopy(model), args, texts)
        before = trainer.evaluate()["eval_loss"]
        train(trainer)
        losses.append((before, trainer.evaluate()["eval_loss"]))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert losses[0][0] == pytest.approx(naive_loss(model, texts, episodes[8:12]), abs=1e-2)


def test_an_adapter_trains_under_streaming_attention(model, tokenizer, episodes, tmp_path):
    texts = texts_for(tokenizer, episodes)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = StreamingSFTTrainer(
        copy.deepcopy(model), settings_for(tmp_path), texts, peft_config=lora
    )
    train(trainer)
    grown = [p for name, p in trainer.model.named_parameters() if "lora_B" in name]
    assert max(p.abs().max().item() for p in grown) > 0.0


def test_eager_attention_is_refused_before_it_trains_on_a_wrong_mask(
    model, tokenizer, episodes, tmp_path
):
    model.set_attn_implementation("eager")
    trainer = StreamingSFTTrainer(model, settings_for(tmp_path), texts_for(tokenizer, episodes))
    with pytest.raises(UserError, match="eager"):
        trainer.train()


@pytest.mark.parametrize("key", ["packing", "padding_free"])
def test_packing_is_refused_with_what_to_use_instead(tmp_path, key):
    with pytest.raises(ValueError, match="shared_prefix"):
        StreamingSFTConfig(str(tmp_path), use_cpu=True, bf16=False, **{key: True})


# ---- whole commands


def configure(root, **streaming):
    for name in ("sft", "hrpo"):
        config = workspace.load(root, name)
        config["streaming"] = {**config["streaming"], **streaming}
        workspace.save(root, name, config)


def test_sft_hrpo_and_evaluation_run_in_parallel_and_evaluation_compares_layouts(
    tmp_path, episodes, monkeypatch
):
    workspace.make(tmp_path, episodes)
    configure(tmp_path, layout="parallel")

    def run(command, *flags):
        return adasr([command, "--config", str(tmp_path / f"{command}.yaml"), *flags])

    assert run("sft") == run("hrpo") == run("eval") == 0
    folder = tmp_path / "hrpo" / "eval"
    found = [r for r, _ in load_rollouts(folder, Setting(Mode.STREAMING, 1.0))]
    assert all(rollout.reads_beside for rollout in found)
    lines = [json.loads(x) for x in (tmp_path / "hrpo" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "streaming/tokens" in line] == [1, 2, 3, 4]
    both = ("--eval.layouts", "[interleaved, parallel]", "--eval.temperatures", "[0.0]")
    assert run("eval", "--overwrite", *both, "--eval.modes", "[streaming]") == 0
    settings = recorded_settings(folder)
    assert [setting.layout for setting in settings] == ["interleaved", "parallel"]
    for setting in settings:
        found = [rollout for rollout, _ in load_rollouts(folder, setting)]
        assert {r.reads_beside for r in found} == {setting.layout == "parallel"}


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path, episodes, monkeypatch):
    workspace.make(tmp_path, episodes)
    configure(tmp_path, layout="parallel")

    def run(command, *flags):
        return adasr([command, "--config", str(tmp_path / f"{command}.yaml"), *flags])

    whole = ("--output_dir", str(tmp_path / "whole"))
    assert run("sft") == run("hrpo", *whole) == 0
    with monkeypatch.context() as patch:
        kill_at(patch, 2)
        assert run("hrpo") == 130
    assert run("hrpo", "--resume") == 0
    assert_equal(tmp_path / "hrpo", tmp_path / "whole")


def test_rl_in_another_layout_than_the_model_was_taught_is_refused(tmp_path, episodes, capsys):
    workspace.make(tmp_path, episodes)
    assert adasr(["sft", "--config", str(tmp_path / "sft.yaml")]) == 0
    configure(tmp_path, layout="parallel")
    assert adasr(["hrpo", "--config", str(tmp_path / "hrpo.yaml")]) == 2
    assert "was taught 'interleaved'" in capsys.readouterr().err


def test_sft_may_teach_another_layout_than_the_model_was_taught(tmp_path, episodes, capsys):
    workspace.make(tmp_path, episodes)
    first = str(tmp_path / "sft")
    assert adasr(["sft", "--config", str(tmp_path / "sft.yaml")]) == 0
    configure(tmp_path, layout="parallel")
    workspace.save(tmp_path, "sft", {**workspace.load(tmp_path, "sft"), "model": {"path": first}})
    second = ["--output_dir", str(tmp_path / "second")]
    flags = [*second, "--streaming.instruction", "Think."]
    assert adasr(["sft", "--config", str(tmp_path / "sft.yaml"), *flags]) == 2
    assert "was taught ''" in capsys.readouterr().err
    assert adasr(["sft", "--config", str(tmp_path / "sft.yaml"), *second]) == 0
    assert load_streaming(tmp_path / "second").layout == "parallel"
