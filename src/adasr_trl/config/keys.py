"""Keys of TRL's and transformers' training arguments that have an effect here; every other one is refused.

    >>> refusal("push_to_hub", "hrpo")
    'has no effect here; publish a finished run with adasr push RUN --repo OWNER/NAME.'
    >>> refusal("learning_rate", "hrpo") is None
    True

The same tables make ``adasr keys`` and docs/KEYS.md. A test holds that each field of the installed releases is either
obeyed or refused, so a key that a new release adds is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRAINING = _names(
    "accelerator_config adam_beta1 adam_beta2 adam_epsilon average_tokens_across_devices bf16 dataloader_drop_last "
    "dataloader_in_order dataloader_multiprocessing_context dataloader_num_workers dataloader_persistent_workers "
    "dataloader_pin_memory dataloader_prefetch_factor ddp_backend ddp_broadcast_buffers ddp_bucket_cap_mb "
    "ddp_find_unused_parameters ddp_static_graph ddp_timeout debug deepspeed disable_tqdm fsdp fsdp_config full_determinism "
    "gradient_accumulation_steps gradient_checkpointing gradient_checkpointing_kwargs activation_checkpointing "
    "activation_checkpointing_kwargs learning_rate log_level log_level_replica log_on_each_node logging_first_step "
    "logging_steps logging_strategy lr_scheduler_kwargs lr_scheduler_type max_grad_norm max_steps num_train_epochs "
    "optim optim_args optim_target_modules output_dir per_device_train_batch_size project report_to run_name save_steps "
    "save_strategy save_total_limit seed shared_prefix skip_memory_metrics tf32 torch_compile torch_compile_backend torch_compile_mode "
    "torch_empty_cache_steps trackio_bucket_id trackio_space_id trackio_static_space_id use_cpu use_liger_kernel "
    "liger_kernel_config warmup_steps weight_decay router_aux_loss_coef pad_to_multiple_of per_device_eval_batch_size "
    "eval_strategy eval_steps eval_delay eval_on_start eval_accumulation_steps do_eval bf16_full_eval "
    "load_best_model_at_end metric_for_best_model greater_is_better"
)
SFT = TRAINING | _names(
    "mode label_smoothing_factor neftune_noise_alpha loss_type activation_offloading train_sampling_strategy "
    "length_column_name muon_learning_rate read_loss_share restate"
)
VLLM = _names(
    "vllm_mode vllm_model_impl vllm_enable_sleep_mode vllm_server_base_url vllm_server_host vllm_server_port "
    "vllm_server_timeout vllm_group_port vllm_gpu_memory_utilization vllm_max_model_length vllm_tensor_parallel_size "
    "vllm_importance_sampling_correction vllm_importance_sampling_mode vllm_importance_sampling_clip_max "
    "vllm_importance_sampling_clip_min vllm_importance_sampling_cap"
)
# Of local terms, which flat advantages lack.
HIERARCHY = _names(
    "granularity mixing local_weight local_weight_end local_weight_schedule local_min_std difficulty_weight"
)
GRPO = (
    TRAINING
    | VLLM
    | _names(
        "advantages mode engine sample_steps sample_rollouts num_generations num_generations_eval disable_dropout cast_lm_head_to_fp32 ds3_gather_for_generation shuffle_dataset generation_batch_size "
        "steps_per_generation temperature top_p top_k min_p beta num_iterations epsilon delta epsilon_high "
        "sapo_temperature_neg sapo_temperature_pos vespo_k_pos vespo_lambda_pos vespo_k_neg vespo_lambda_neg "
        "importance_sampling_level multi_objective_aggregation scale_rewards loss_type mask_truncated_completions "
        "sync_ref_model ref_model_mixup_alpha ref_model_sync_steps top_entropy_quantile entropy_coef use_adaptive_entropy "
        "entropy_coef_min entropy_coef_max entropy_coef_delta entropy_target off_policy_mask_threshold use_bias_correction_kl"
    )
)
OBEYED: Mapping[str, frozenset[str]] = {"sft": SFT, "grpo": GRPO, "hrpo": GRPO | HIERARCHY}
# Names and places: the command line's text is taken as it is, whatever YAML would make of it.
TEXT = _names(
    "output_dir run_name project trackio_space_id trackio_bucket_id optim_args vllm_server_base_url vllm_server_host"
)

_PUSH = "publish a finished run with adasr push RUN --repo OWNER/NAME."
_CAPS = "the lengths are streaming.max_prompt_tokens, max_thought_tokens and max_deep_tokens."
_LOSS = "the loss is always on what the model writes, never on what it reads."
_PACKED = "shared_prefix packs a batch without padding."
_EPISODES = "episodes have a form of their own (docs/DATA.md)."
_MODEL = "set model.dtype, model.attention, model.quantization or model.revision."
_SAMPLES = "keep samples with sample_steps, and watch them with adasr show RUN --samples."
_METRICS = "held-out episodes give the loss, or the rollouts' own metrics."
_WHOLE = "a run promises to resume, which needs its optimizer."
# A key and what to do in its place; of the rest nothing here has the effect.
INSTEAD: Mapping[str, str] = {
    "push_to_hub": _PUSH,
    "hub_model_id": _PUSH,
    "hub_token": "set HF_TOKEN in the environment; " + _PUSH,
    "hub_strategy": _PUSH,
    "hub_private_repo": "publish a finished run with adasr push RUN --repo OWNER/NAME --private.",
    "hub_always_push": _PUSH,
    "hub_revision": _PUSH,
    "log_completions_hub_repo": _PUSH,
    "resume_from_checkpoint": "resume a run with --resume.",
    "save_only_model": _WHOLE,
    "ignore_data_skip": "a resumed run sees each episode as an uninterrupted one does.",
    "auto_find_batch_size": "adasr doctor says what a step needs; set per_device_train_batch_size.",
    "fp16": "float16 overflows in training; use bf16, or model.dtype: float32.",
    "fp16_full_eval": "use bf16_full_eval.",
    "model_init_kwargs": _MODEL,
    "trust_remote_code": "set model.trust_remote_code.",
    "max_completion_length": _CAPS,
    "max_length": _CAPS,
    "truncation_mode": "no episode is cut; data.too_long says what becomes of one that is too long.",
    "chat_template_kwargs": "set streaming.thinking.",
    "chat_template_path": "give the tokenizer of model.path that template.",
    "eos_token": "the tokenizer's own ends a rollout.",
    "pad_token": "padding is never read.",
    "dataset_text_field": _EPISODES,
    "dataset_kwargs": _EPISODES,
    "dataset_num_proc": _EPISODES,
    "packing": _PACKED,
    "packing_strategy": _PACKED,
    "padding_free": _PACKED,
    "eval_packing": _PACKED,
    "completion_only_loss": _LOSS,
    "assistant_only_loss": _LOSS,
    "reward_weights": "each of rewards has its weight.",
    "use_vllm": "set engine: vllm.",
    "repetition_penalty": "rollouts are sampled by temperature, top_p, top_k and min_p.",
    "generation_kwargs": "rollouts are sampled by temperature, top_p, top_k and min_p.",
    "cache_implementation": "the engine has a cache of its own; see streaming.max_cache_gib.",
    "use_transformers_continuous_batching": "the engine batches by streaming.decode_batch.",
    "use_transformers_paged": "the engine batches by streaming.decode_batch.",
    "transformers_continuous_batching_config": "the engine batches by streaming.decode_batch.",
    "vllm_structured_outputs_regex": "the protocol's markers end what is written.",
    "log_completions": _SAMPLES,
    "log_multimodal": _SAMPLES,
    "log_unique_prompts": _SAMPLES,
    "num_completions_to_print": _SAMPLES,
    "max_tool_calling_iterations": "the input is no tool.",
    "data_seed": "seed decides the order of episodes, too.",
    "do_train": "the command says what is done.",
    "do_predict": "measure with adasr eval.",
    "logging_nan_inf_filter": "a loss that is not finite stops the run.",
    "include_num_input_tokens_seen": "metrics.jsonl counts the tokens read and written.",
    "local_rank": "the launcher sets it.",
    "enable_jit_checkpoint": "interrupt a run at any time and go on with --resume.",
    **dict.fromkeys(("remove_unused_columns", "label_names", "use_cache"), "remove it."),
    **dict.fromkeys(
        ("include_for_metrics", "batch_eval_metrics", "prediction_loss_only"), _METRICS
    ),
    **dict.fromkeys(("eval_do_concat_batches", "eval_use_gather_object"), _METRICS),
    "parallelism_config": "shard with deepspeed or fsdp.",
    "save_on_each_node": "one process writes the run.",
    "restore_callback_states_from_checkpoint": "a resumed run restores its own.",
    "length_column_name": "train_sampling_strategy: group_by_length knows the lengths.",
    "shuffle_dataset": "SFT draws episodes in random order; set train_sampling_strategy.",
    "label_smoothing_factor": "RL has no labels.",
    "neftune_noise_alpha": "RL has no embeddings to disturb.",
    "train_sampling_strategy": "groups are drawn in TRL's order.",
    "activation_offloading": "use gradient_checkpointing.",
    "disable_dropout": "set lora.dropout.",
    "cast_lm_head_to_fp32": "set model.dtype: float32.",
    **dict.fromkeys(HIERARCHY, "only adasr hrpo has local terms: remove it."),
}
# Names of other tools, and ours.
ELSEWHERE: Mapping[str, str] = {
    "dataset_name": "data.train: FILE (adasr data makes it)",
    "dataset_config": "data.train: FILE (adasr data makes it)",
    "dataset_train_split": "data.train: FILE",
    "dataset_test_split": "data.test: FILE",
    "model_name_or_path": "model.path",
    "model_revision": "model.revision",
    "torch_dtype": "model.dtype",
    "dtype": "model.dtype",
    "attn_implementation": "model.attention",
    "load_in_4bit": "model.quantization: {kind: nf4}",
    "load_in_8bit": "model.quantization: {kind: nf4}",
    "use_peft": "lora: {r: 16}",
    "lora_r": "lora.r",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_target_modules": "lora.target_modules",
    "reward_funcs": "rewards: [{name: module:function, scope: global}]",
    "max_prompt_length": "streaming.max_prompt_tokens",
    "max_new_tokens": "streaming.max_deep_tokens",
    "num_samples": "num_generations",
    "kl_coef": "beta",
    "max_seq_length": "streaming.max_prompt_tokens",
    "cutoff_len": "streaming.max_prompt_tokens",
    "max_train_samples": "data.max_train_episodes",
    "train_file": "data.train: FILE",
    "validation_file": "data.held_out: N, which holds episodes out of data.train",
    "lora_rank": "lora.r",
    "finetuning_type": "lora: {r: 16}",
    "flash_attn": "model.attention",
    "quantization_bit": "model.quantization: {kind: nf4}",
    "bnb_4bit_quant_type": "model.quantization: {kind: nf4}",
    "warmup_ratio": "warmup_steps, where a number below 1 is a share of the steps",
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "lr": "learning_rate",
    "gradient_clipping": "max_grad_norm",
    "mixed_precision": "bf16: true, or model.dtype",
    "no_cuda": "use_cpu: true",
    "use_mps_device": "use_cpu: false; a device is found by itself",
    "group_by_length": "train_sampling_strategy: group_by_length (SFT)",
    "overwrite_output_dir": "the option --overwrite of the command",
    "logging_dir": "output_dir; trackers write there",
    "save_safetensors": "nothing; weights are always saved as safetensors",
    "early_stopping_patience": "load_best_model_at_end: true, or alarms",
    "local_files_only": "HF_HUB_OFFLINE=1 in the environment",
    "token": "HF_TOKEN in the environment",
    "use_auth_token": "HF_TOKEN in the environment",
    "wandb_api_key": "WANDB_API_KEY in the environment",
    "wandb_project": "WANDB_PROJECT in the environment",
    "num_processes": "the launcher's option: accelerate launch --num_processes N",
    "vllm_device": "engine: vllm and vllm_mode",
    "max_response_length": "streaming.max_deep_tokens",
    "rollout_n": "num_generations",
    "kl_loss_coef": "beta",
    "clip_ratio": "epsilon",
}


def refusal(key: str, command: str) -> str | None:
    """The reason to refuse a training argument; None where the command obeys it, or it is no argument known here."""
    if key in OBEYED[command] or key not in INSTEAD:
        return None
    return f"has no effect here; {INSTEAD[key]}"


def elsewhere(key: str) -> str | None:
    """The setting here that another tool's name means, or None."""
    return ELSEWHERE.get(key)
