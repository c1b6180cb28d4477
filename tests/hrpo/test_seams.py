"""The places of TRL that we build on, by name: an upgrade that moves one fails here and says which."""

from __future__ import annotations

import inspect

import trl
from trl import GRPOTrainer, SFTTrainer
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import VLLMGeneration
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import RepeatSampler, add_fused_lm_head

from adasr_trl.hrpo import HRPOTrainer
from adasr_trl.hrpo.streaming_attention import StreamingAttentionTrainer

OVERRIDDEN = {
    "_get_train_sampler": ["self", "dataset"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_prepare_inputs": ["self", "generation_batch"],
    "_compute_loss": ["self", "model", "inputs"],
    "_get_per_token_logps_and_entropies": [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
        "compute_aux_loss",
        "pixel_values",
        "image_grid_thw",
        "num_images",
        "pixel_attention_mask",
        "spatial_shapes",
        "num_tiles",
        "image_sizes",
        "token_type_ids",
        "mm_token_type_ids",
        "image_position_ids",
    ],
}


def test_the_tested_release_of_trl_is_installed():
    assert trl.__version__.startswith("1.16.")


def test_what_we_override_is_there_with_the_arguments_we_know():
    for name, arguments in OVERRIDDEN.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == arguments


def test_rollout_func_is_called_with_prompts_and_trainer_and_may_return_env_mask():
    source = inspect.getsource(GRPOTrainer._generate)
    assert "self.rollout_func(prompts, self)" in source
    assert 'extra_fields.pop("env_mask", None)' in source


def test_extra_fields_of_rollout_func_reach_the_rewards_of_local_rows_which_are_gathered():
    merged = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "inp[key] = values[i]" in merged
    assert "self._calculate_rewards(inputs," in merged
    assert "gather(rewards_per_func)" in inspect.getsource(GRPOTrainer._calculate_rewards)


def test_a_generation_batch_waits_as_shuffled_micro_batches_in_an_attribute():
    source = inspect.getsource(GRPOTrainer._prepare_inputs)
    assert "self._buffered_inputs = [" in source
    assert "inputs = self._buffered_inputs[self._step % self.args.steps_per_generation]" in source


def test_the_fused_head_takes_labels_that_are_shifted_and_follows_the_backbone():
    source = inspect.getsource(add_fused_lm_head)
    assert "labels = shift_labels" in source
    assert 'backbone_attr = "base_model"' in source
    assert 'kwargs.get("attention_mask")' in source  # weighs the load of experts


def test_the_loss_takes_advantages_for_each_token():
    source = inspect.getsource(GRPOTrainer._compute_loss)
    assert "if advantages.dim() == 1:" in source


def test_trls_sampler_draws_from_an_attribute_called_generator():
    sampler = RepeatSampler(range(6), mini_repeat_count=2, seed=3)
    first = list(sampler)
    sampler.generator.manual_seed(3)
    assert list(sampler) == first


def test_the_model_is_unwrapped_by_trl_for_generation():
    parameters = inspect.signature(unwrap_model_for_generation).parameters
    assert list(parameters)[:3] == ["model", "accelerator", "gather_deepspeed3_params"]


def test_the_trainer_overrides_nothing_else():
    classes = (HRPOTrainer, StreamingAttentionTrainer)
    own = {name for c in classes for name, value in vars(c).items() if inspect.isfunction(value)}
    theirs = set(dir(GRPOTrainer))
    assert own & theirs == {"__init__", *OVERRIDDEN}


def test_log_probabilities_are_computed_in_one_place_that_only_calls_the_model():
    source = inspect.getsource(GRPOTrainer._get_per_token_logps_and_entropies)
    assert "attention_mask_batch = attention_mask[start:end]" in source
    assert "outputs = model(**model_inputs, labels=labels, fused_lm_head=True)" in source
    assert source.count("model.") == 0
    everywhere = inspect.getsource(GRPOTrainer)
    calls = everywhere.count("self._get_per_token_logps_and_entropies(")
    in_known_places = sum(
        inspect.getsource(getattr(GRPOTrainer, name)).count(
            "self._get_per_token_logps_and_entropies("
        )
        for name in ("_generate_and_score_completions", "_compute_loss")
    )
    assert calls == in_known_places == 4


def test_sft_computes_its_loss_by_calling_the_model_it_is_given():
    source = inspect.getsource(SFTTrainer.compute_loss)
    assert "outputs = model(**inputs, fused_lm_head=True)" in source
    assert "visibility" not in source


def test_vllm_is_reached_through_these_attributes_of_trls_generation():
    made = inspect.getsource(VLLMGeneration.__init__) + inspect.getsource(VLLMGeneration._init_vllm)
    for line in (
        "self.mode = mode",
        "self.accelerator = accelerator",
        "self.enable_sleep_mode = enable_sleep_mode",
        "self.vllm_client = VLLMClient(",
        "self.llm = LLM(",
        "self._llm_weights_sleeping = self.enable_sleep_mode",
        'logprobs_mode="processed_logprobs"',  # what was sampled from is what is recorded
    ):
        assert line in made
    assert list(inspect.signature(VLLMGeneration.sync_weights).parameters) == ["self"]


def test_trl_puts_vllm_to_sleep_and_wakes_it_as_we_do():
    synced = inspect.getsource(VLLMGeneration.sync_weights)
    assert 'self.llm.wake_up(tags=["weights"])' in synced
    assert "self._llm_weights_sleeping = False" in synced
    assert "self.llm.reset_prefix_cache()" in synced
    generated = inspect.getsource(VLLMGeneration.generate)
    for line in (
        "self.enable_sleep_mode and self._llm_weights_sleeping:",
        'self.llm.wake_up(tags=["kv_cache"])',
        "self.llm.sleep(level=2)",
        "self._llm_weights_sleeping = True",
    ):
        assert line in generated


def test_the_trainer_holds_vllm_and_says_which_step_it_has_the_weights_of():
    assert "self.vllm_generation = VLLMGeneration(" in inspect.getsource(GRPOTrainer.__init__)
    assert "self._last_loaded_step = -1" in inspect.getsource(GRPOTrainer.__init__)
    generate = inspect.getsource(GRPOTrainer._generate)
    assert "self.use_vllm and self.state.global_step != self._last_loaded_step" in generate
    assert "self._last_loaded_step = self.state.global_step" in generate


def test_trls_client_passes_settings_on_and_answers_under_these_keys():
    parameters = list(inspect.signature(VLLMClient.generate).parameters)
    assert parameters[:2] == ["self", "prompts"]
    assert parameters[-1] == "generation_kwargs"
    source = inspect.getsource(VLLMClient.generate)
    assert "sampling_params.update(generation_kwargs or {})" in source
    assert '"completion_ids": completion_ids' in source
    assert '"logprobs": logprobs' in source
    assert 'response.json()["vllm_config"]' in inspect.getsource(VLLMClient.get_server_info)


def test_trl_counts_a_token_that_vllm_could_not_score_as_uncorrected():
    source = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "torch.nan_to_num(per_token_logps_diff, nan=0.0)" in source
    assert "delta[mask & ~torch.isnan(delta)]" in source
