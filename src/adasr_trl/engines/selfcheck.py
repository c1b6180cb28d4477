"""Whether a model obeys streaming attention, found out on a few random tokens before anything is trained.

    >>> check_streaming_attention(model)

Two streams ask more of a model than causal text does: a boolean mask of any shape, positions that start twice, and
nothing else through which one token could learn of another (a convolution, a recurrent state, a window). So two things
are tried: decoding token by token gives what one forward gives, and a sentence changes nothing that precedes it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from adasr_trl.config_sections import ModelConfig, StreamingConfig
from adasr_trl.engines.hf import check_attention
from adasr_trl.files import UserError
from adasr_trl.layouts.views import attention, views_of
from adasr_trl.model import load_model

_CHUNKS = (-1, -1, 0, 0, 0, 1, 1, 1, 2, -1, -1, 0, 0, 0, 1, 1, 2, 2)  # of the tokens tried
_SOURCE = 9  # of them are the source
_FULL = (torch.float32, torch.float64)
# Mean difference of a token's logits between decoding and one forward, in their standard deviations. In 16 bits the
# middle one of the target's tokens counts: rounding alone moves SmolLM2-135M by 0.02, and a single token by up to 4.
_APART_FULL, _APART_HALF = 1e-3, 0.3
_LEAK = 1e-6  # a masked token's weight is 0, whatever the precision


def load_model_for(
    streaming: StreamingConfig, config: ModelConfig, tokenizer: PreTrainedTokenizerBase, seed: int
) -> Any:
    """Load the model (or draw a new one); UserError if the layout cannot run on it."""
    model = load_model(config, tokenizer, seed)
    check_attention(model)
    if streaming.layout == "parallel":
        check_streaming_attention(model)
    return model


@torch.no_grad()
def check_streaming_attention(model: PreTrainedModel) -> None:
    """Try the model.

    Raises:
        UserError: It does not obey, with what was seen and what to use instead.
    """
    was_training, config = model.training, model.config.get_text_config()
    taught = config._attn_implementation
    model.eval()
    config._attn_implementation = "sdpa" if taught == "flex_attention" else taught  # as rollouts do
    try:
        _check(model)
    except UserError:
        raise
    except Exception as error:  # whatever a model may raise that knows no such mask
        seen = f"its forward raises {type(error).__name__}: {error}"
        raise _refusal(model, seen) from error
    finally:
        config._attn_implementation = taught
        model.train(was_training)


def _check(model: PreTrainedModel) -> None:
    views = torch.tensor([views_of(_SOURCE, _CHUNKS, fed=True)], device=model.device)
    size = model.config.get_text_config().vocab_size
    ids = torch.arange(len(_CHUNKS), device=model.device).mul(7919).remainder(size - 2) + 1
    whole = _whole(model, ids.unsqueeze(0), views)
    unit = whole.std().item()
    apart_T = (_one_by_one(model, ids.unsqueeze(0), views) - whole)[0].abs().mean(dim=1) / unit
    full = model.dtype in _FULL
    apart = (apart_T.max() if full else apart_T[_SOURCE:].median()).item()
    if not apart <= (_APART_FULL if full else _APART_HALF):
        raise _refusal(
            model, f"decoding token by token differs from one forward by {apart:.2g} deviations"
        )
    other = ids.clone()
    other[_SOURCE - 1] = (other[_SOURCE - 1] + 1) % size  # the last sentence
    changed_T = (_whole(model, other.unsqueeze(0), views) - whole)[0].abs().amax(dim=1) / unit
    blind_T = views[0].abs() < _SOURCE
    if not changed_T[blind_T].max().item() <= _LEAK:
        raise _refusal(model, "a sentence changes what was written before it")
    if not changed_T[~blind_T].min().item() > _LEAK:
        raise _refusal(model, "a sentence changes nothing in what is written behind it")


def _whole(model: PreTrainedModel, ids_BT: Tensor, views_BT: Tensor) -> Tensor:
    mask, positions = attention(views_BT)
    logits: Tensor = model(
        input_ids=ids_BT, attention_mask=mask, position_ids=positions, use_cache=False
    ).logits
    return logits.float()


def _one_by_one(model: PreTrainedModel, ids_BT: Tensor, views_BT: Tensor) -> Tensor:
    mask, positions = attention(views_BT)
    cache, logits = DynamicCache(config=model.config), []
    steps = [slice(0, _SOURCE), *(slice(t, t + 1) for t in range(_SOURCE, ids_BT.size(1)))]
    for part in steps:
        found = model(
            input_ids=ids_BT[:, part],
            attention_mask=mask[:, :, part, : part.stop],
            position_ids=positions[:, part],
            past_key_values=cache,
            use_cache=True,
        )
        logits.append(found.logits.float())
    return torch.cat(logits, dim=1)


def _refusal(model: PreTrainedModel, seen: str) -> UserError:
    return UserError(
        f"model: {model.config.model_type} does not obey streaming attention ({seen}); use streaming.layout: "
        f"interleaved, or another model."
    )
