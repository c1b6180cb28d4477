"""The line of a training step on the terminal, and that of a run without a signal."""

from types import SimpleNamespace

import pytest

from adasr_trl.training.callbacks import SignalCheck, spell

LOGS = {
    "loss": 0.0123,
    "reward/global": 0.5,
    "reward/streaming": -0.125,
    "reward/deep": 1.0,
    "accuracy": 0.5,
    "streaming/skip_rate": 0.25,
    "streaming/tokens": 12345.678,
    "deep/tokens": 98765.432,
    "groups/no_signal": 1.0,
    "grad_norm": 1.5,
}


def test_the_line_of_a_rollout_step_has_reward_by_scope_accuracy_skips_and_tokens_by_phase():
    line = spell(LOGS)
    assert line == (
        "reward global 0.50 streaming -0.12 deep 1.00, accuracy 0.50, skips 0.25, "
        "tokens streaming 12345.7 deep 98765.4, no signal 1.00"
    )
    assert (
        len(f"step 100000/100000, 1000.00 s a step, 10 days, 10:00:00 left: held out: {line}") < 200
    )


def test_flat_rewards_and_held_out_questions_are_named_and_unknown_numbers_left_out():
    logs = {
        "eval_reward": 0.5,
        "eval_accuracy": 0.25,
        "eval_deep/tokens": None,
        "eval_groups/no_signal": 1.0,
    }
    assert spell(logs) == "held out: reward 0.50, accuracy 0.25"


def test_the_line_of_a_supervised_step_is_its_loss_and_other_logs_have_none():
    assert spell({"loss": 1.23456, "grad_norm": 1.0}) == "loss 1.23"
    assert spell({"train_runtime": 3.0}) == ""


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (
            [1.0] * 5 + [1.0],
            "no reward signal: 30 of 30 groups had no right answer, or equal rewards",
        ),
        (
            [1.0, 1.0, 1.0, 1.0, 0.5],
            "no reward signal: 27 of 30 groups had no right answer, or equal rewards",
        ),
        ([1.0, 0.5, 1.0, 1.0, 0.5], ""),
        ([1.0] * 4, ""),  # of 100 steps
    ],
)
def test_a_run_without_signal_in_its_first_steps_says_so_once(shares, said, caplog):
    check, args = SignalCheck(), SimpleNamespace(generation_batch_size=48, num_generations=8)
    for step, share in enumerate(shares, start=1):
        state = SimpleNamespace(global_step=step, max_steps=100, is_world_process_zero=True)
        check.on_log(args, state, None, logs={"groups/no_signal": share})
    assert caplog.text.count("no reward signal") == bool(said)
    assert said in caplog.text
    assert not said or "adasr doctor --config FILE" in caplog.text


def unscored(first, second):
    """Means of two rewards, and of their sum."""
    known = [mean for mean in (first, second) if mean is not None]
    total = sum(known) if known else None
    return {"rewards/a_global/mean": first, "rewards/b_deep/mean": second, "reward": total}


@pytest.mark.parametrize(
    ("logs", "named", "says_groups"),
    [
        ([unscored(None, None)] * 5, "step 5: a_global, b_deep;", False),
        ([unscored(None, 0.5)] * 5, "step 5: a_global;", True),  # and equal rewards
        ([unscored(None, 0.5)] + [unscored(0.0, 0.5)] * 4, "", True),
        ([unscored(0.0, 0.0)] * 5, "", True),
    ],
)
def test_a_reward_that_scored_nothing_is_named_and_not_the_groups_blamed(
    logs, named, says_groups, caplog
):
    check, args = SignalCheck(), SimpleNamespace(generation_batch_size=8, num_generations=4)
    for step, log in enumerate(logs, start=1):
        state = SimpleNamespace(global_step=step, max_steps=9, is_world_process_zero=True)
        check.on_log(args, state, None, logs={"groups/no_signal": 1.0, **log})
    assert ("no reward signal" in caplog.text) == says_groups
    assert ("scored no rollout" in caplog.text) == bool(named)
    assert named in caplog.text
