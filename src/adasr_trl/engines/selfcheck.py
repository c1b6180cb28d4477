"""Whether a model can be rolled out in a layout, found out on a few random tokens before anything is trained.

    >>> check_model(model, "parallel")

Rollouts run a model under attention of our own (``attention``), and two streams ask more of it than causal text does: a
boolean mask of any shape, positions that start twice, and nothing else through which one token could learn of another
(a convolution, a recurrent state, a window). So two things are tried: decoding token by token gives what one forward
gives, and, with two streams, a sentence changes nothing that precedes it.
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
from adasr_trl.engines.feeding import Feeder
from adasr_trl.engines.hf import check_attention
from adasr_trl.engines.token_log import Fed
from adasr_trl.layouts.views import attention, attention_of, views_of
from adasr_trl.models.loading import load_model, whole_weights

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
    with whole_weights(model):
        check_model(model, streaming.layout)
    return model


@torch.no_grad()
def check_model(model: PreTrainedModel, layout: LayoutName) -> None:
    """Try the model.

    Raises:
        UserError: It does not obey, with what was seen and what to use instead.
    """
    was_training, own = model.training, attention_of(model)
    model.eval()
    try:
        with attending(model, "sdpa" if own == "flex_attention" else own):  # as rollouts do
            seen = _fault(model, layout)
    except Exception as error:  # whatever a model may raise that knows no such attention
        seen = f"its forward raises {type(error).__name__}: {error}"
        raise _refusal(model, layout, seen) from error
    finally:
        model.train(was_training)
    if seen:
        raise _refusal(model, layout, seen)


def _fault(model: PreTrainedModel, layout: LayoutName) -> str | None:
    """What the model does wrong."""
    if layout == "parallel":
        views = torch.tensor(views_of(_SOURCE, _CHUNKS, fed=True), device=model.device)
    else:
        views = torch.arange(len(_CHUNKS), device=model.device) + 1
    size = model.config.get_text_config().vocab_size
    ids = torch.arange(len(_CHUNKS), device=model.device).mul(7919).remainder(size - 2) + 1
    whole = _whole(model, ids, views)
    unit = whole.std().item()
    if layout == "parallel":
        other = ids.clone()
        other[_SOURCE - 1] = (other[_SOURCE - 1] + 1) % size  # the last sentence
        changed_T = (_whole(model, other, views) - whole).abs().amax(dim=1) / unit
        blind_T = views.abs() < _SOURCE
        if not changed_T[blind_T].max().item() <= _LEAK:
            return "a sentence changes what was written before it"
        if not changed_T[~blind_T].min().item() > _LEAK:
            return "a sentence changes nothing in what is written behind it"
    apart_T = (_one_by_one(model, ids, views) - whole[_SOURCE:]).abs().mean(dim=1) / unit
    full = model.dtype in _FULL
    apart = (apart_T.max() if full else apart_T.median()).item()
    if not apart <= (_APART_FULL if full else _APART_HALF):
        return f"decoding token by token differs from one forward by {apart:.2g} deviations"
    return None


def _whole(model: PreTrainedModel, ids_T: Tensor, views_T: Tensor) -> Tensor:
    """Logits of one forward, (T, V)."""
    mask, positions = attention(views_T.unsqueeze(0))
    logits: Tensor = model(
        input_ids=ids_T.unsqueeze(0), attention_mask=mask, position_ids=positions, use_cache=False
    ).logits
    return logits[0].float()


def _one_by_one(model: PreTrainedModel, ids_T: Tensor, views_T: Tensor) -> Tensor:
    """Logits behind the source, as rollouts get them: its tokens read at once, then one after the other."""
    positions_T = attention(views_T.unsqueeze(0))[1][0]
    columns = [each.tolist() for each in (ids_T, positions_T, views_T)]
    feeder = Feeder(model, pad_id=0)
    cache = SlotCache(model.config.get_text_config().num_hidden_layers, 1, model.device)
    feeder.prefill({Fed(*(tuple(each[:_SOURCE]) for each in columns)): [0]}, cache)
    logits = []
    for t in range(_SOURCE, len(ids_T)):
        fed = Fed(*((each[t],) for each in columns))
        logits.append(feeder.feed([(0, fed)], [0], cache))
    return torch.cat(logits).float()


def _refusal(model: PreTrainedModel, layout: LayoutName, seen: str) -> UserError:
    instead = (
        "streaming.layout: interleaved, or another model"
        if layout == "parallel"
        else "another model"
    )
    return UserError(
        f"model: {model.config.model_type} does not obey streaming attention ({seen}); use {instead}."
    )
