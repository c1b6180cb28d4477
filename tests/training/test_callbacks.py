"""The line of a training step on the terminal."""

from adasr_trl.training.callbacks import spell

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
