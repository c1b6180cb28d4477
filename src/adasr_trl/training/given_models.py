"""Models that a script hands to a trainer, and what of a model is trained: what would train or save another model is refused.

    >>> StreamingSFTTrainer(PeftModel.from_pretrained(base, "adapter"), args, rows)
    UserError: model: none of its weights is trained, since all are frozen; ...

PEFT loads an adapter frozen by default, saves one called "default" as the run's own, and passes merged ones by. TRL and
transformers train such a model without a word.
"""

from __future__ import annotations

from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel

from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.errors import UserError
from adasr_trl.models.faults import refuse_lost_part, settle_generation

_OWN = "default"  # PEFT's name of the adapter that lies in a run's folder itself
_LOAD = 'AutoModelForCausalLM.from_pretrained("...")'


def check_given(model: Any) -> None:
    """Refuse what is no loaded causal language model (UserError); its settings of generation are made such as can be saved."""
    if not isinstance(model, PreTrainedModel | PeftModel):
        raise UserError(
            f"model: got {type(model).__name__}; expected a name, a directory, or a model as {_LOAD} makes it, not compiled "
            f"or wrapped."
        )
    causal = model.get_base_model() if isinstance(model, PeftModel) else model
    if causal.get_output_embeddings() is None:
        raise UserError(
            f"model: got {type(causal).__name__}, which has no head that writes text; load it with {_LOAD}."
        )
    if all(weight.is_meta for weight in model.parameters()):
        raise UserError(
            f"model: its weights are on the meta device, so it has none; load it with {_LOAD}."
        )
    settle_generation(causal)


def named_origin(model: Any) -> ModelConfig | None:
    """The source of a model that a script has loaded, by its own name; None where it has none."""
    name = getattr(model.config, "_name_or_path", "")  # not on every configuration
    return ModelConfig(path=name, dtype="auto") if name else None


def check_rows(model: Any, tokenizer: Any) -> None:
    """Refuse an embedding with fewer rows than the tokenizer has tokens: loaded again, the run would be another model (UserError)."""
    rows = model.config.get_text_config().vocab_size
    if rows < len(tokenizer):
        raise UserError(
            f"model: its embedding has {rows} rows, and the tokenizer {len(tokenizer)} tokens; call "
            f"model.resize_token_embeddings(len(tokenizer)) before, or give the model's own tokenizer."
        )


def check_adapters(model: Any, added: Any) -> None:
    """Refuse adapters of which the trained one would not be the run's (UserError).

    Args:
        model: The model before TRL's trainer takes it.
        added: ``peft_config``, an adapter to add, or None.
    """
    given = getattr(model, "peft_config", None) or {}  # set with the first adapter
    for name, config in (("peft_config", added), *(("model", own) for own in given.values())):
        refuse_lost_part(name, getattr(config, "init_lora_weights", None))  # LoRA's alone
    if not given:
        return
    if added is not None:
        raise UserError(
            "peft_config: got one, but the model has an adapter, whose training goes on; leave it out, or give "
            "model.merge_and_unload()."
        )
    if any(getattr(module, "merged", False) for module in model.modules()):  # PEFT's layers
        raise UserError(
            "model: its adapter is merged into the weights, so it would not be trained; call model.unmerge_adapter() before."
        )
    active = model.active_adapters  # a method of transformers' models, a property of PEFT's
    active = active() if callable(active) else active
    is_own = list(active) == [_OWN] if isinstance(model, PeftModel) else len(active) == 1
    if not is_own:
        raise UserError(
            f"model: got {', '.join(active)} as active adapter; a run keeps the one called {_OWN}: give a model with that "
            f"one active (model.set_adapter, or adapter_name of PEFT's functions)."
        )


def check_trained(model: Any) -> None:
    """Refuse a model without a weight to train (UserError)."""
    if any(weight.requires_grad for weight in model.parameters()):
        return
    remedy = "call model.requires_grad_(True)"
    if getattr(model, "peft_config", None):
        remedy = "load its adapter with is_trainable=True (PeftModel.from_pretrained), leave out inference_mode, or enable it"
    raise UserError(f"model: none of its weights is trained, since all are frozen; {remedy}.")
