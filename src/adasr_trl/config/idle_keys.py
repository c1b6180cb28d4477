"""Keys that have an effect only beside another one; alone they are refused.

    >>> refuse_idle(loaded, "hrpo")
    ConfigError: hrpo.yaml:7: delta: got 1.5, which has an effect only with loss_type: grpo, bnpo, ...

TRL and transformers take each of them and say nothing. What reads a key is theirs (TRL 1.16, transformers 5). A key at its
default asks for nothing. So does one of the file whose evaluation, checkpoints or tracker a flag turns off. Sizes and limits (batches of an
evaluation, number of checkpoints) may stand without what they limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adasr_trl.config.keys import OBEYED, VLLM
from adasr_trl.config.loading import COMMAND_LINE, LoadedConfig

# Keys that turn a part of a run off; a flag does so without a change of the file.
_SWITCHES = ("eval_strategy", "save_strategy", "logging_strategy", "report_to")


@dataclass(frozen=True)
class Need:
    """Another key and those of its values beside which a key has an effect; without values, any but null."""

    other: str
    values: tuple[object, ...] = ()
    default: object = None  # of the other key
    or_true: str = ""  # a third key that does as well if it is true

    def is_met(self, flat: Mapping[str, object]) -> bool:
        """Whether the settings are such."""
        if self.or_true and flat.get(self.or_true):
            return True
        found = flat.get(self.other)
        found = self.default if found is None else found
        given = found if isinstance(found, list) else [found]
        return any(item in self.values for item in given) if self.values else found is not None

    def __str__(self) -> str:
        """The need in words."""
        words = [_spelled(value) for value in self.values if value is not None]
        third = f", or {self.or_true}: true" if self.or_true else ""
        return f"{self.other}: {' or '.join(words) or 'a value'}{third}"


_VLLM = Need("engine", ("vllm",), "hf")
_SERVER, _COLOCATE = (Need("vllm_mode", (mode,), "colocate") for mode in ("server", "colocate"))
_CORRECTED = Need("vllm_importance_sampling_correction", (True,), default=True)
_CLIPPED = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")  # losses that bound the ratio on both sides
_BELOW, _ABOVE = (Need("loss_type", names, "dapo") for names in (_CLIPPED, (*_CLIPPED, "cispo")))
_TIMED = Need("eval_strategy", ("steps", "epoch"), "no")
_EVALUATES = Need("eval_strategy", ("steps", "epoch"), "no", or_true="eval_on_start")
_REFERENCE, _ADAPTIVE = (Need(key, (True,)) for key in ("sync_ref_model", "use_adaptive_entropy"))
_WORKERS = Need("dataloader_num_workers", tuple(range(1, 1024)), 0)
_CHECKPOINTING = (
    Need("gradient_checkpointing", (True,), default=True, or_true="activation_checkpointing"),
    Need("activation_checkpointing", (True, None)),
)
NEEDS: Mapping[str, tuple[Need, ...]] = {
    **dict.fromkeys(VLLM, (_VLLM,)),
    **dict.fromkeys(
        ("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout"),
        (_VLLM, _SERVER),
    ),
    "vllm_group_port": (_VLLM, _SERVER),
    **dict.fromkeys(
        ("vllm_gpu_memory_utilization", "vllm_max_model_length", "vllm_model_impl"),
        (_VLLM, _COLOCATE),
    ),
    "vllm_enable_sleep_mode": (_VLLM, _COLOCATE),
    **dict.fromkeys(
        (f"vllm_importance_sampling_{end}" for end in ("mode", "clip_max", "clip_min", "cap")),
        (_VLLM, _CORRECTED),
    ),
    **dict.fromkeys(
        ("sapo_temperature_neg", "sapo_temperature_pos"), (Need("loss_type", ("sapo",), "dapo"),)
    ),
    **dict.fromkeys(
        ("vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg"),
        (Need("loss_type", ("vespo",), "dapo"),),
    ),
    "epsilon": (_ABOVE,),  # cispo's bound, too, where epsilon_high is not set
    "epsilon_high": (_ABOVE,),
    "delta": (_BELOW,),
    "max_completion_length": (Need("loss_type", ("dr_grpo",), "dapo"),),
    **dict.fromkeys(("ref_model_mixup_alpha", "ref_model_sync_steps"), (_REFERENCE,)),
    **dict.fromkeys(
        ("entropy_coef_min", "entropy_coef_max", "entropy_coef_delta", "entropy_target"),
        (_ADAPTIVE,),
    ),
    "local_weight_schedule": (Need("local_weight_end"),),
    "fsdp_config": (Need("fsdp"),),
    "length_column_name": (Need("train_sampling_strategy", ("group_by_length",)),),
    "liger_kernel_config": (Need("use_liger_kernel", (True,)),),
    **dict.fromkeys(
        ("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"), _CHECKPOINTING
    ),
    **dict.fromkeys(("dataloader_in_order", "dataloader_multiprocessing_context"), (_WORKERS,)),
    "eval_steps": (Need("eval_strategy", ("steps",), "no"),),
    **dict.fromkeys(("eval_delay", "do_eval", "load_best_model_at_end"), (_TIMED,)),
    **dict.fromkeys(
        ("num_generations_eval", "eval_accumulation_steps", "bf16_full_eval"), (_EVALUATES,)
    ),
    "save_steps": (Need("save_strategy", ("steps",), "steps"),),
    "logging_steps": (Need("logging_strategy", ("steps",), "steps"),),
    **dict.fromkeys(
        ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
        (Need("report_to", ("trackio", "all"), "none"),),
    ),
}
# Defaults of the keys here that are neither null nor false.
DEFAULTS: Mapping[str, object] = {
    "adam_epsilon": 1e-8,
    "dataloader_in_order": True,
    "entropy_coef_delta": 0.005,
    "entropy_coef_max": 1.0,
    "entropy_coef_min": 0.0,
    "entropy_target": 0.2,
    "epsilon": 0.2,
    "eval_delay": 0,
    "length_column_name": "length",
    "local_weight_schedule": "linear",
    "logging_steps": 10,
    "optim": "adamw_torch_fused",
    "project": "huggingface",
    "ref_model_mixup_alpha": 0.6,
    "ref_model_sync_steps": 512,
    "sample_rollouts": 2,
    "sapo_temperature_neg": 1.05,
    "sapo_temperature_pos": 1.0,
    "save_steps": 500,
    "use_bias_correction_kl": True,
    "vespo_k_neg": 3.0,
    "vespo_k_pos": 2.0,
    "vespo_lambda_neg": 2.0,
    "vespo_lambda_pos": 3.0,
    "vllm_gpu_memory_utilization": 0.3,
    "vllm_group_port": 51216,
    "vllm_importance_sampling_clip_max": 3.0,
    "vllm_importance_sampling_correction": True,
    "vllm_importance_sampling_mode": "sequence_mask",
    "vllm_mode": "colocate",
    "vllm_model_impl": "vllm",
    "vllm_server_host": "0.0.0.0",
    "vllm_server_port": 8000,
    "vllm_server_timeout": 240.0,
    "vllm_tensor_parallel_size": 1,
    "warmup_steps": 0,
}
_NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
_NO_SETTINGS = ("constant", "constant_with_warmup")


def is_conditional(key: str, command: str) -> bool:
    """Whether a command obeys a key beside another one only."""
    return key in NEEDS and (command != "sft" or key in OBEYED["sft"])


def refuse_idle(loaded: LoadedConfig, command: str) -> None:
    """Refuse a key that another one leaves without an effect, with its line.

    Raises:
        ConfigError: The first of them.
    """
    flat = {key: value for key, value in loaded.flat.items() if _asks(key, value)}
    for key, value in flat.items():
        if not is_conditional(key, command):
            continue
        unmet = next((need for need in NEEDS[key] if not need.is_met(loaded.flat)), None)
        if unmet is not None and not _is_switched_off(loaded, key, unmet.other):
            raise loaded.error(
                key,
                f"got {value!r}, which has an effect only with {unmet}; set that, or remove it.",
            )
    faults = (*_optimizer_faults(flat), *_metric_faults(flat), *_other_faults(flat, command))
    for key, reason in faults:
        if not (key == "run_name" and _is_switched_off(loaded, key, "report_to")):
            raise loaded.error(key, f"got {flat[key]!r}, which has {reason}")


def _asks(key: str, value: object) -> bool:
    """Whether a value asks for something: it is neither null nor the default."""
    if value is None:
        return False
    default = DEFAULTS.get(key, False)
    if isinstance(default, bool) or isinstance(value, bool):
        return value is not default
    try:  # YAML reads 1e-8 as text
        return value != default and float(str(value)) != float(str(default))
    except ValueError:
        return True


def _is_switched_off(loaded: LoadedConfig, key: str, other: str) -> bool:
    """Whether a flag turns off what a key of the file belongs to; the best model is no mere part of a run."""
    flags = [loaded.line_of(name).startswith(COMMAND_LINE) for name in (other, key)]
    return other in _SWITCHES and flags == [True, False] and key != "load_best_model_at_end"


def _optimizer_faults(flat: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Settings that a schedule or Muon leaves out."""
    schedule = flat.get("lr_scheduler_type", "linear")
    if "warmup_steps" in flat and schedule in _NO_WARMUP:
        instead = "set constant_with_warmup" if schedule == "constant" else "set another one"
        yield "warmup_steps", f"no effect with lr_scheduler_type: {schedule}; {instead}, or use 0."
    if flat.get("lr_scheduler_kwargs") and schedule in _NO_SETTINGS:
        yield "lr_scheduler_kwargs", f"no effect with lr_scheduler_type: {schedule}; remove it."
    if "muon_learning_rate" in flat:
        for key in ("optim", "optim_args", "optim_target_modules", "adam_epsilon"):
            if key in flat:
                yield key, "no effect with muon_learning_rate (Muon and torch's AdamW); remove one."


def _metric_faults(flat: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """A metric that decides nothing: neither the weights at the end, nor which checkpoints or rate there are."""
    uses = (
        "load_best_model_at_end" in flat,
        flat.get("save_strategy") == "best",
        flat.get("lr_scheduler_type") == "reduce_lr_on_plateau",
    )
    keeps = _TIMED.is_met(flat) and "save_total_limit" in flat  # the best one is not deleted
    words = "an effect only with load_best_model_at_end: true; set that, or remove it."
    if "metric_for_best_model" in flat and not any((*uses, keeps)):
        yield "metric_for_best_model", words
    is_named = any(uses) or "metric_for_best_model" in flat
    if "greater_is_better" in flat and not is_named:
        yield "greater_is_better", words


def _other_faults(flat: Mapping[str, object], command: str) -> Iterator[tuple[str, str]]:
    """Settings of what is off in other ways."""
    if "run_name" in flat and flat.get("report_to", "none") in ("none", ["none"], []):
        yield "run_name", "an effect only with report_to: a tracker; set one, or remove it."
    if flat.get("loss_type") == "cispo" and {"epsilon", "epsilon_high"} <= flat.keys():
        yield (
            "epsilon",
            "no effect with loss_type: cispo and epsilon_high, its only bound; remove it.",
        )
    if "sample_rollouts" in flat and flat.get("sample_steps") == 0:
        yield "sample_rollouts", "no effect with sample_steps: 0; raise that, or remove it."
    if "use_bias_correction_kl" in flat and not _is_positive(flat.get("beta")):
        yield "use_bias_correction_kl", "an effect only with beta: more than 0; remove it."
    accelerator = flat.get("accelerator_config")
    is_seeded = not isinstance(accelerator, dict) or accelerator.get("use_seedable_sampler", True)
    if command != "sft" and not is_seeded:
        yield (
            "accelerator_config",
            "no effect in use_seedable_sampler: groups are drawn in TRL's order.",
        )


def _is_positive(value: object) -> bool:
    try:
        return float(str(value)) > 0
    except ValueError:
        return False


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
