"""Checks of training arguments before torch is loaded: keys with an effect, values in their range.

    >>> check_keys(loaded, "hrpo")
    ConfigError: hrpo.yaml:7: push_to_hub: has no effect here; publish a finished run with adasr push ...

TRL and transformers find most of these only once a model is loaded, or a rollout was made, and some never.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from adasr_trl.config.idle_keys import is_conditional, refuse_idle
from adasr_trl.config.keys import HIERARCHY, OBEYED, elsewhere, refusal
from adasr_trl.config.loading import COMMAND_LINE, LoadedConfig
from adasr_trl.config.sections import MIN_TEMPERATURE

logger = logging.getLogger(__name__)

_ADVANTAGES = {"grpo": "flat", "hrpo": "hierarchical"}
_LOSSES = {
    "sft": ("nll", "dft"),
    "rl": ("grpo", "bnpo", "dr_grpo", "dapo", "luspo", "cispo", "sapo", "vespo"),
}
# What an evaluation logs, up to the first slash, as in eval_rewards/accuracy_global/mean.
_METRICS = {
    "sft": ("loss", "entropy", "mean_token_accuracy"),
    "rl": (
        *("loss", "reward", "rewards", "accuracy", "answer_latency_seconds", "backlog_seconds"),
        *("streaming", "deep", "ending", "groups", "flat", "entropy", "kl", "completions"),
    ),
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "importance_sampling_level": ("token", "sequence"),
    "scale_rewards": ("group", "batch", "none", "True", "False"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "train_sampling_strategy": ("random", "sequential", "group_by_length"),
    "save_strategy": ("no", "steps", "epoch", "best"),
    "eval_strategy": ("no", "steps", "epoch"),
    "logging_strategy": ("no", "steps", "epoch"),
    "vllm_mode": ("colocate", "server"),
    "torch_compile_mode": (
        *("default", "lite", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
    ),
    "dataloader_multiprocessing_context": ("fork", "spawn", "forkserver"),
    "ddp_backend": ("nccl", "gloo", "mpi", "ccl", "xccl", "hccl", "cncl", "mccl"),
    "debug": ("", "underflow_overflow", "tpu_metrics_debug"),
    **dict.fromkeys(
        ("log_level", "log_level_replica"),
        ("detail", "debug", "info", "warning", "error", "critical", "passive"),
    ),
}


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, the ends included unless open."""

    low: float
    high: float = math.inf
    is_open: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range; one that is not finite lies in none."""
        return (
            math.isfinite(value)
            and (self.low < value if self.is_open else self.low <= value)
            and value <= self.high
        )

    def __str__(self) -> str:
        """The range in words."""
        if math.isinf(self.high):
            return f"more than {self.low:g}" if self.is_open else f"{self.low:g} or more"
        high = f"{self.high:.0f}" if self.high == int(self.high) else f"{self.high:g}"
        return f"{'more than ' if self.is_open else ''}{self.low:g} to {high}"


_POSITIVE, _FROM_0, _FROM_1, _SHARE = Range(0, is_open=True), Range(0), Range(1), Range(0, 1)
_RANGES: Mapping[str, Range] = {
    **dict.fromkeys(("learning_rate", "num_train_epochs", "adam_epsilon"), _POSITIVE),
    "temperature": Range(MIN_TEMPERATURE),
    **dict.fromkeys(("epsilon", "epsilon_high", "delta", "logging_steps", "save_steps"), _POSITIVE),
    **dict.fromkeys(("eval_steps", "vllm_server_timeout"), _POSITIVE),
    **dict.fromkeys(("weight_decay", "beta", "max_grad_norm", "warmup_steps"), _FROM_0),
    **dict.fromkeys(("top_k", "eval_delay", "dataloader_num_workers", "sample_steps"), _FROM_0),
    **dict.fromkeys(("per_device_train_batch_size", "per_device_eval_batch_size"), _FROM_1),
    **dict.fromkeys(("gradient_accumulation_steps", "num_iterations"), _FROM_1),
    **dict.fromkeys(("steps_per_generation", "generation_batch_size", "sample_rollouts"), _FROM_1),
    **dict.fromkeys(
        ("save_total_limit", "eval_accumulation_steps", "ref_model_sync_steps"), _FROM_1
    ),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "min_p", "ref_model_mixup_alpha"), _SHARE),
    **dict.fromkeys(("label_smoothing_factor", "vllm_gpu_memory_utilization"), _SHARE),
    "top_p": Range(0, 1, is_open=True),
    "top_entropy_quantile": Range(0, 1, is_open=True),
    **dict.fromkeys(("sapo_temperature_neg", "sapo_temperature_pos"), _POSITIVE),
    "neftune_noise_alpha": _POSITIVE,
    "seed": Range(0, 2**32 - 1),
    "num_generations": Range(2),
    "num_generations_eval": Range(1),
}


def check_keys(loaded: LoadedConfig, command: str) -> None:
    """Refuse a key without an effect, and a value out of its range, each with its line; name those that GRPO shares.

    Raises:
        ConfigError: The first of them.
    """
    _refuse_other_advantages(loaded, command)
    shared = shared_keys(loaded, command)
    for key, value in loaded.without(shared).flat.items():
        if (reason := _no_effect(key, value, command)) is not None:
            raise loaded.error(key, reason)
        if (expected := _out_of_range(key, value, command)) is not None:
            raise loaded.error(key, f"got {value!r}; expected {expected}.")
    if loaded.flat.get("loss_type") == "dr_grpo" and "max_completion_length" not in loaded.flat:
        raise loaded.error(
            "loss_type",
            "dr_grpo divides the loss by max_completion_length; set it to the most tokens that a rollout may write.",
        )
    steps = _number(loaded.flat.get("max_steps"))
    if steps is not None and steps < 1 and steps != -1:
        raise loaded.error("max_steps", f"got {steps:g}; expected 1 or more, or -1 for epochs.")
    _refuse_endless_warmup(loaded)
    _refuse_single_checkpoint(loaded)
    _refuse_idle_reference(loaded)
    _refuse_unknown_metric(loaded, command)
    refuse_idle(loaded.without(shared), command)
    if shared:
        logger.info("%s: no effect on adasr %s: %s", loaded.path, command, ", ".join(shared))


def shared_keys(loaded: LoadedConfig, command: str) -> list[str]:
    """The keys of local terms in a file that ``adasr grpo`` shares with ``adasr hrpo``; those of its flags are refused."""
    if command != "grpo":
        return []
    in_file = (key for key in loaded.flat if not loaded.line_of(key).startswith(COMMAND_LINE))
    return [key for key in in_file if key in HIERARCHY]


def _refuse_other_advantages(loaded: LoadedConfig, command: str) -> None:
    """Refuse advantages that are another command's."""
    own, given = _ADVANTAGES.get(command), loaded.flat.get("advantages")
    if own is not None and given not in (None, own):
        raise loaded.error(
            "advantages", f"got {given!r}, but those of adasr {command} are {own}; remove it."
        )


def _refuse_endless_warmup(loaded: LoadedConfig) -> None:
    """Refuse a warmup that outlasts the run, whose learning rate would never be reached."""
    warmup, steps = (_number(loaded.flat.get(key)) for key in ("warmup_steps", "max_steps"))
    if warmup is not None and steps is not None and 1 <= steps <= warmup:
        raise loaded.error(
            "warmup_steps",
            f"got {warmup:g} of max_steps {steps:g}; expected fewer, or a share below 1, else learning_rate is never "
            f"reached.",
        )


def _refuse_single_checkpoint(loaded: LoadedConfig) -> None:
    """Refuse to keep one checkpoint: a run that is killed while it writes the next one could not be resumed."""
    if _number(loaded.flat.get("save_total_limit")) == 1:
        raise loaded.error(
            "save_total_limit",
            "got 1; the only checkpoint would be deleted before the next one is whole: use 2 or more.",
        )


def _refuse_idle_reference(loaded: LoadedConfig) -> None:
    """Refuse a reference without a weight, and a bound on the ratio that lies inside its clipping."""
    if loaded.flat.get("sync_ref_model") and not _number(loaded.flat.get("beta") or 0):
        raise loaded.error("sync_ref_model", "has an effect only with beta: more than 0.")
    delta, epsilon = (_number(loaded.flat.get(key)) for key in ("delta", "epsilon"))
    lowest = 1 + (0.2 if epsilon is None else epsilon)  # TRL's default
    if delta is not None and delta <= lowest:
        raise loaded.error(
            "delta",
            f"got {delta:g}; expected more than {lowest:g} (1 + epsilon), else every ratio is clipped.",
        )


def _refuse_unknown_metric(loaded: LoadedConfig, command: str) -> None:
    """Refuse a metric that no evaluation gives: transformers finds it missing only after the first one."""
    metric = loaded.flat.get("metric_for_best_model")
    if metric is None:
        return
    name, known = str(metric).removeprefix("eval_"), _METRICS["sft" if command == "sft" else "rl"]
    if name.partition("/")[0] not in known:
        words = ", ".join(f"eval_{name}" for name in known)
        raise loaded.error("metric_for_best_model", f"got {metric!r}; expected one of {words}.")


def _no_effect(key: str, value: object, command: str) -> str | None:
    """The reason to refuse a key; false and null ask for nothing."""
    if (ours := elsewhere(key)) is not None:
        return f"is not a key here; set {ours}."
    if key in HIERARCHY and value is not None and key not in OBEYED[command]:
        return refusal(key, command)  # 0, too
    if value in (False, None):
        return None
    return None if is_conditional(key, command) else refusal(key, command)


def _out_of_range(key: str, value: object, command: str) -> str | None:
    """The expected values, where ``value`` is none of them."""
    choices = (
        _LOSSES["sft" if command == "sft" else "rl"] if key == "loss_type" else _CHOICES.get(key)
    )
    if choices is not None and value is not None and str(value) not in choices:
        return f"one of {', '.join(choices)}"
    expected, number = _RANGES.get(key), _number(value)
    if expected is None or number is None:
        return None  # of the wrong type, which is refused elsewhere
    return None if expected.holds(number) else str(expected)


def _number(value: object) -> float | None:
    """A number, also as text: YAML reads 1e-5 as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
