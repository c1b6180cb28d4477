"""Logits of a trained model on fixed prompts, by which whoever loads the model can tell whether it is the same.

    >>> save_probe(run, model, tokenizer, streaming)        # verify.logits
    >>> compare(load_probe(run), model).largest
    0.0

The prompts hold no row of any data set, so the file may go wherever the weights go. Of a large vocabulary every n-th
logit is kept, and the log-sum-exp of all of them, which moves if any other one does.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from adasr_trl.artifacts.names import VERIFY_FILE
from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.engines.attention import attending
from adasr_trl.layouts import Encoded, Layout, build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.visibility import mask_and_positions
from adasr_trl.models.loading import model_is_quantized
from adasr_trl.models.positions import longest_sequence

KEPT_LOGITS = 4096  # of one position
_EPISODE = Episode(
    id="probe",
    group="probe",
    question="How many books does Ada have at the end?",
    chunks=("Ada has 12 books.", " She reads every evening.", " Ben gives her 3 more books."),
    answer="15",
    answer_type=AnswerType.NUMBER,
    source=Source("probe", "1", "Apache-2.0", "none"),
)
_DEEP = " 12 + 3 = 15"


@dataclass(frozen=True)
class Probe:
    """Fixed tokens, which no model wrote, and a model's logits on them."""

    token_ids_T: Tensor  # in the run's layout
    visibility_T: Tensor  # of the source, for each token (``layouts.visibility``)
    logits_TK: Tensor  # the K kept logits
    logsumexp_T: Tensor  # of all logits of a token
    adapter: bool  # the model was an adapter on another one
    four_bit: bool  # its weights had 4 bits
    dtype: str  # of its weights (those not of 4 bits)
    device: str  # such as ``cpu``


@dataclass(frozen=True)
class LogitDifference:
    """Distance of a model from a probe."""

    largest: float  # absolute difference of a logit, or of a log-sum-exp
    # Over tokens the median of the mean absolute difference, in standard deviations of the probe's logits.
    typical: float


def save_probe(
    directory: Path,
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    streaming: StreamingConfig,
    *,
    write: bool = True,
) -> None:
    """Ask the model and write the answers beside its weights; one of several processes does that."""
    codec = Codec(tokenizer, streaming.markers, streaming.thinking)
    unbounded = dataclasses.replace(streaming, max_prompt_tokens=1_000_000)
    layout = build_layout(unbounded, codec)
    encoded = _encoded(layout, codec)
    visibility = layout.visibility(encoded) or range(1, len(encoded.token_ids) + 1)
    longest = longest_sequence(model.config)
    columns = (encoded.token_ids, visibility)
    ids_T, visibility_T = (torch.tensor(list(column)[:longest]) for column in columns)
    logits_TV = _logits(model, ids_T, visibility_T)
    if not write:
        return
    tensors = {
        "token_ids": ids_T,
        "views": visibility_T,
        "logits": _kept(logits_TV),
        "logsumexp": logits_TV.logsumexp(dim=-1),
    }
    metadata = {
        "format": "pt",
        "adapter": str(is_adapter(model)),
        "four_bit": str(model_is_quantized(model)),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": device_name(model),
    }
    partial = directory / f".{VERIFY_FILE}.partial"
    save_file(tensors, partial, metadata)
    partial.replace(directory / VERIFY_FILE)


def load_probe(directory: Path) -> Probe:
    """Read the probe of a run; a UserError if there is none."""
    path = directory / VERIFY_FILE
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so there is nothing to compare with (FSDP saves none): train it again, or verify "
            f"another one."
        )
    try:
        return _read(path)
    except (SafetensorError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: is damaged ({reason}), so there is nothing to compare with; restore it, or train the run again."
        ) from error


def _read(path: Path) -> Probe:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        return Probe(
            token_ids_T=file.get_tensor("token_ids"),
            visibility_T=file.get_tensor("views"),
            logits_TK=file.get_tensor("logits"),
            logsumexp_T=file.get_tensor("logsumexp"),
            adapter=metadata["adapter"] == "True",
            four_bit=metadata["four_bit"] == "True",
            dtype=metadata["dtype"],
            device=metadata["device"],
        )


def compare(probe: Probe, model: Any) -> LogitDifference:
    """The difference of a model's logits from the probe's."""
    logits_TV = _logits(model, probe.token_ids_T, probe.visibility_T)
    kept_TK = _kept(logits_TV)
    if kept_TK.shape != probe.logits_TK.shape:
        return LogitDifference(math.inf, math.inf)  # another vocabulary
    apart_TK = (kept_TK - probe.logits_TK).abs()
    apart_T = (logits_TV.logsumexp(dim=-1) - probe.logsumexp_T).abs()
    largest = torch.maximum(apart_TK.amax(dim=-1), apart_T).max().item()
    typical = (apart_TK.mean(dim=-1).median() / probe.logits_TK.std()).item()
    # A model of NaN is as far away as can be.
    return LogitDifference(*(x if math.isfinite(x) else math.inf for x in (largest, typical)))


def is_adapter(model: Any) -> bool:
    """Whether a model is a PEFT model."""
    from peft import PeftModel

    return isinstance(model, PeftModel)


def device_name(model: Any) -> str:
    """The name of the model's device; the same name means the same results."""
    device = model.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type)


def _encoded(layout: Layout, codec: Codec) -> Encoded:
    """The episode with skips for thoughts; no word in it can be a marker by accident."""
    deep = codec.encode_data(_DEEP) + codec.marker("reasoning_end") + codec.encode_data(" 15")
    written = {Phase.READ: (), Phase.STREAM: codec.marker("skip"), Phase.DEEP: deep}
    turns = layout.turns(_EPISODE, Mode.STREAMING)
    tokens = [
        (token_id, phase, turn.chunk)
        for turn in turns
        for ids, phase in ((turn.token_ids, Phase.READ), (written[turn.writes], turn.writes))
        for token_id in ids
    ]
    token_ids, phases, chunks = zip(*tokens, strict=True)
    return Encoded(token_ids, phases, chunks, layout.prompt_length(turns))


@torch.no_grad()
def _logits(model: Any, ids_T: Tensor, visibility_T: Tensor) -> Tensor:
    """Logits of one forward as rollouts see the model, (T, V), float32 on the CPU."""
    was_training = model.training
    model.eval()
    mask, positions = mask_and_positions(visibility_T.to(model.device).unsqueeze(0))
    try:
        with attending(model, "sdpa"):
            outputs = model(
                input_ids=ids_T.to(model.device).unsqueeze(0),
                attention_mask=mask,
                position_ids=positions,
                use_cache=False,
            )
    finally:
        model.train(was_training)
    logits_TV: Tensor = outputs.logits[0].float().cpu()
    return logits_TV


def _kept(logits_TV: Tensor) -> Tensor:
    stride = -(-logits_TV.size(1) // KEPT_LOGITS)
    return logits_TV[:, ::stride].contiguous()
