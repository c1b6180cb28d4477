"""Health: what is not finite stops a run, which is then not complete; nothing is published from a trainer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig

from adasr_trl.artifacts import directory
from adasr_trl.cli.main import main as adasr
from adasr_trl.core.errors import UserError
from adasr_trl.hrpo import HRPOConfig
from adasr_trl.models.precision import all_finite
from adasr_trl.training.health import HealthyTrainer, refuse_unscored
from adasr_trl.training.sft import StreamingSFTConfig, StreamingSFTTrainer
from support import workspace
from support.settings import STREAMING


@pytest.fixture
def root(tmp_path, episodes):
    workspace.make(tmp_path, episodes)
    return tmp_path


def poison(monkeypatch, step, what):
    """Make the loss, a gradient or a weight not a number at a step."""
    real = StreamingSFTTrainer.compute_loss

    def compute_loss(self, model, *args, **kwargs):
        at = self.state.global_step + 1 == step and model.training
        weight = next(p for p in model.parameters() if p.requires_grad)
        if at and what == "weight":
            weight.data[0] = float("inf")
        loss = real(self, model, *args, **kwargs)
        if at and what == "loss":
            loss = loss * float("nan")
        if at and what == "gradient":
            weight.register_hook(lambda grad: grad * float("nan"))
        return loss

    monkeypatch.setattr(StreamingSFTTrainer, "compute_loss", compute_loss)


@pytest.mark.parametrize("what", ["loss", "gradient", "weight"])
def test_the_first_number_that_is_not_finite_stops_the_run_with_its_step(
    root, monkeypatch, capsys, what
):
    poison(monkeypatch, 4, what)
    assert adasr(["sft", "--config", str(root / "sft.yaml")]) == 2
    message = capsys.readouterr().err
    assert (
        f"step 4: {'the loss' if what == 'weight' else ('a ' if what == 'gradient' else 'the ') + what} is not finite"
        in message
    )
    assert "checkpoint-2" in message
    assert not directory.is_complete(root / "sft")
    assert sorted(path.name for path in (root / "sft").glob("checkpoint-*")) == ["checkpoint-2"]
    assert not list((root / "sft").glob("*.safetensors"))


class Plain:
    """A trainer of one weight under a launcher's precision."""

    def __init__(self, precision):
        self.model = torch.nn.Linear(1, 1)
        self.accelerator = SimpleNamespace(mixed_precision=precision)
        self.args = SimpleNamespace(output_dir="x")
        self.callbacks = []
        self.add_callback = self.callbacks.append


class Healthy(HealthyTrainer, Plain):
    """The same, checked."""


def test_float16_of_a_launcher_is_refused_like_float16_of_a_file():
    assert Healthy("no").callbacks
    assert Healthy("bf16").callbacks
    with pytest.raises(UserError, match="ACCELERATE_MIXED_PRECISION: got fp16"):
        Healthy("fp16")


def test_tensors_are_finite_or_not():
    assert all_finite([])
    assert all_finite([torch.ones(2), torch.zeros(1)])
    assert not all_finite([torch.ones(2), torch.tensor([1.0, float("inf")])])
    assert not all_finite([torch.tensor([float("nan")])])


@pytest.mark.parametrize("config", [HRPOConfig, StreamingSFTConfig])
@pytest.mark.parametrize(
    "given", [{"push_to_hub": True}, {"hub_token": "hf_secret"}, {"hub_model_id": "me/x"}]
)
def test_arguments_that_publish_are_refused_from_python_too(tmp_path, config, given):
    with pytest.raises(ValueError, match="adasr push RUN") as refusal:
        config(str(tmp_path), use_cpu=True, bf16=False, **given)
    assert "hf_secret" not in str(refusal.value)


def test_a_trainer_publishes_nothing_itself():
    with pytest.raises(UserError, match="adasr push RUN"):
        HealthyTrainer.push_to_hub(object())


def test_no_card_in_a_run_says_that_it_comes_from_a_model_called_none(root):
    assert adasr(["sft", "--config", str(root / "sft.yaml"), "--max_steps", "2"]) == 0
    assert (root / "sft" / "checkpoint-2").is_dir()
    assert not list((root / "sft").rglob("README.md"))


def test_fewer_episodes_than_a_step_needs_are_refused_with_the_number(tmp_path):
    args = HRPOConfig(
        str(tmp_path), num_generations=4, generation_batch_size=16, use_cpu=True, bf16=False
    )
    args.check_episodes(4)
    with pytest.raises(ValueError, match=r"take 4 episodes a step, but there are 3 episodes"):
        args.check_episodes(3)


def reward(name, weight):
    return SimpleNamespace(name=name, weight=weight, scope=SimpleNamespace(value="deep"))


@pytest.mark.parametrize(
    ("logs", "refused"),
    [
        ([(None, None), (None, None)], True),
        ([(None, 0.5), (None, 1.0)], True),  # b has no weight
        ([(None, None), (0.0, None)], False),  # one number, if an equal one
        ([(0.5, 0.5), (0.5, 0.5)], False),  # equal in all groups
        ([], False),  # SFT, or no logs
    ],
)
def test_a_run_whose_rewards_scored_nothing_is_not_complete(tmp_path, logs, refused):
    rewards = [reward("mine:a", 1.0), reward("b", 0.0)]
    trainer = SimpleNamespace(rewards=rewards, reward_func_names=["mine.a_deep", "b_deep"])
    history = [
        {
            "step": 2,
            "groups/no_signal": 1.0,
            "rewards/mine.a_deep/mean": a,
            "rewards/b_deep/mean": b,
        }
        for a, b in logs
    ]
    if not refused:
        refuse_unscored(trainer, tmp_path, history)
        return
    with pytest.raises(
        UserError, match=r"no reward scored a rollout in 2 steps.*: mine:a \(deep\)"
    ):
        refuse_unscored(trainer, tmp_path, history)


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        (LoraConfig(target_modules="all-linear", alora_invocation_tokens=[5]), "alora"),
        (PromptTuningConfig(num_virtual_tokens=4), "PROMPT_TUNING"),
        (PrefixTuningConfig(num_virtual_tokens=4), "PREFIX_TUNING"),
    ],
)
def test_an_adapter_that_needs_a_whole_row_is_refused(
    model, tokenizer, episodes, tmp_path, adapter, name
):
    adapter.task_type = "CAUSAL_LM"
    args = StreamingSFTConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none")
    with pytest.raises(UserError, match=f"got {name}.*each token alone"):
        StreamingSFTTrainer(
            *(model, args, episodes[:4], None, tokenizer),
            streaming=STREAMING,
            peft_config=adapter,
        )
