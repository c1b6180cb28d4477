"""Check whether a model can be rolled out in a layout, on a few random tokens before anything is trained.

    >>> check_model(model, "parallel")

Rollouts run a model under slot attention (``attention``). Two streams also need a boolean mask of any shape, positions
that start twice, and no other path between tokens, such as a convolution, a recurrent state or a window. So two things
are tried: decoding token by token gives the logits of one forward, and a sentence changes nothing that precedes it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from adasr_trl.config.sections import LayoutName, ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.engines.attention import attending
from adasr_trl.engines.cache import SlotCache
from adasr_trl.engines.hf import check_attention
from adasr_trl.engines.model_runner import ModelRunner
from adasr_trl.engines.token_log import StepInputs
from adasr_trl.layouts.visibility import mask_and_positions, source_visibility
from adasr_trl.models.loading import load_model, whole_weights
from adasr_trl.models.precision import all_finite, computing_dtype

_CHUNKS = (-1, -1, 0, 0, 0, 1, 1, 1, 2, -1, -1, 0, 0, 0, 1, 1, 2, 2)  # of the tokens tried
_SOURCE = 9  # leading tokens that are the source
_FULL = (torch.float32, torch.float64)
# Mean difference of a token's logits between decoding and one forward, in their standard deviations. In 16 bits the
# median over the target's tokens counts: rounding alone moves SmolLM2-135M by 0.02, and a single token by up to 4.
_TOLERANCE_FULL, _TOLERANCE_HALF = 1e-3, 0.3
_LEAK = 1e-6  # a masked token's weight is 0, whatever the precision


def load_model_for(
    streaming: StreamingConfig, config: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int
) -> Any:
    """Load the model (or draw a new one); UserError if the layout cannot run on it."""
    model = load_model(config, tokenizer, seed)
    check_attention(model)
    check_model(model, streaming.layout)
    return model


@torch.no_grad()
def check_model(model: PreTrainedModel, layout: LayoutName) -> None:
    """Try the model.

    Raises:
        UserError: The model does not obey; the message has the observed fault, and a remedy.
    """
    was_training, own = model.training, model.config.get_text_config()._attn_implementation
    # Rollouts of a model for FlexAttention run under SDPA.
    implementation = "sdpa" if own == "flex_attention" else own
    with whole_weights(model), attending(model, implementation):
        _refuse_broken_weights(model)
        model.eval()
        try:
            fault = _fault(model, layout)
        except Exception as error:  # anything that a model without such attention may raise
            fault = f"its forward raises {type(error).__name__}: {error}"
            raise _refusal(model, layout, fault) from error
        finally:
            model.train(was_training)
    if fault:
        raise _refusal(model, layout, fault)


def _refuse_broken_weights(model: PreTrainedModel) -> None:
    broken = [name for name, weight in model.named_parameters() if not all_finite([weight])]
    if broken:
        raise UserError(
            f"model: {len(broken)} weights are not finite, such as {broken[0]}, so their training diverged; use an earlier "
            f"checkpoint, or train again with a lower learning_rate."
        )


def _fault(model: PreTrainedModel, layout: LayoutName) -> str | None:
    """The model's fault in words; None if it obeys."""
    if layout == "parallel":
        visibility_T = torch.tensor(source_visibility(_SOURCE, _CHUNKS, fed=True))
    else:
        visibility_T = torch.arange(len(_CHUNKS)) + 1
    visibility_T = visibility_T.to(model.device)
    size = model.config.get_text_config().vocab_size
    ids_T = torch.arange(len(_CHUNKS), device=model.device).mul(7919).remainder(size - 2) + 1
    whole_TV = _one_forward(model, ids_T, visibility_T)
    unit = whole_TV.std().item()
    if layout == "parallel":
        other_T = ids_T.clone()
        other_T[_SOURCE - 1] = (other_T[_SOURCE - 1] + 1) % size  # the last sentence
        changed_TV = _one_forward(model, other_T, visibility_T) - whole_TV
        changed_T = changed_TV.abs().amax(dim=1) / unit  # (T)
        blind_T = visibility_T.abs() < _SOURCE
        if not changed_T[blind_T].max().item() <= _LEAK:  # `not`, so that NaN is a fault too
            return "a sentence changes what was written before it"
        if not changed_T[~blind_T].min().item() > _LEAK:
            return "a sentence changes nothing in what is written behind it"
    apart_TV = _token_by_token(model, ids_T, visibility_T) - whole_TV[_SOURCE:]
    apart_T = apart_TV.abs().mean(dim=1) / unit  # (target's T)
    dtype = computing_dtype(model)
    full = dtype in _FULL
    apart = (apart_T.max() if full else apart_T.median()).item()
    if apart <= (_TOLERANCE_FULL if full else _TOLERANCE_HALF):
        return None
    doubt = "" if full else f"; its layers compute in {dtype}, so try float32 before another model"
    return f"decoding token by token differs from one forward by {apart:.2g} deviations{doubt}"


def _one_forward(model: PreTrainedModel, ids_T: Tensor, visibility_T: Tensor) -> Tensor:
    """Logits of one forward, (T, V)."""
    mask, positions = mask_and_positions(visibility_T.unsqueeze(0))  # (1, 1, T, T), (1, T)
    logits: Tensor = model(
        input_ids=ids_T.unsqueeze(0), attention_mask=mask, position_ids=positions, use_cache=False
    ).logits
    return logits[0].float()


def _token_by_token(model: PreTrainedModel, ids_T: Tensor, visibility_T: Tensor) -> Tensor:
    """Logits behind the source as in rollouts: the source as a prefix, then one token a step. (T, V)."""
    positions_T = mask_and_positions(visibility_T.unsqueeze(0))[1][0]  # (T)
    columns = [column.tolist() for column in (ids_T, positions_T, visibility_T)]

    def inputs(start: int, end: int) -> StepInputs:
        return StepInputs(*(tuple(column[start:end]) for column in columns))

    runner = ModelRunner(model, pad_id=0)
    cache = SlotCache(model.config.get_text_config().num_hidden_layers, 1, model.device)
    runner.prefill({inputs(0, _SOURCE): [0]}, cache)
    steps = range(_SOURCE, len(ids_T))
    return torch.cat([runner.forward([(0, inputs(t, t + 1))], [0], cache) for t in steps]).float()


def _refusal(model: PreTrainedModel, layout: LayoutName, fault: str) -> UserError:
    instead = "streaming.layout: interleaved, or another" if layout == "parallel" else "another"
    return UserError(
        f"model: {model.config.model_type} does not obey streaming attention (on {len(_CHUNKS)} random tokens: {fault}); use "
        f"{instead} model. docs/MODELS.md lists the tested ones."
    )
