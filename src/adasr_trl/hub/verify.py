"""Whether a model that is loaded now says what it said when its training ended.

    >>> verify("me/streaming-qwen3", Form.SAVED).within
    True

    same weights, same device            every logit within 1e-5
    merged, float32, same device         every logit within 1e-3
    anything else in float32             typically 0.01 of the logits' standard deviation
    anything else in 16 bits, an adapter typically 0.3 of it (as in ``engines.selfcheck``: rounding alone moves them)
    on 4 bits that was merged included
    4 bits of what was trained in whole  typically 0.5 of it

"Typically" is the median over tokens of the mean difference. The limits are ours.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from adasr_trl.config.sections import ModelConfig, QuantizationSection
from adasr_trl.core.errors import UserError
from adasr_trl.models.files import located
from adasr_trl.models.loading import load_policy, model_is_quantized
from adasr_trl.training.probe import (
    LogitDifference,
    Probe,
    compare,
    device_name,
    is_adapter,
    load_probe,
)


class Form(Enum):
    """What to make of the files: the model as it was saved, its adapter merged into the base, or weights in 4 bits."""

    SAVED = "saved"
    MERGED = "merged"
    FOUR_BIT = "4bit"


@dataclass(frozen=True)
class Limit:
    """How far a model may be from its probe.

    Attributes:
        largest: Of the largest difference, or None.
        typical: Of the typical one, or None.
        reason: What the limit is for.
    """

    largest: float | None
    typical: float | None
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What was found, and what was allowed."""

    found: LogitDifference
    limit: Limit

    @property
    def within(self) -> bool:
        """Whether the model is the one that was trained."""
        pairs = ((self.found.largest, self.limit.largest), (self.found.typical, self.limit.typical))
        return all(most is None or value <= most for value, most in pairs)

    def __str__(self) -> str:
        """One line."""
        most, of = (
            (self.limit.typical, "standard deviations, typical")
            if self.limit.largest is None
            else (self.limit.largest, "largest")
        )
        value = self.found.typical if self.limit.largest is None else self.found.largest
        word = "the same model" if self.within else "NOT the model that was trained"
        return (
            f"{word}: logits differ by {value:.2g} ({of}), allowed {most:g} for {self.limit.reason}"
        )


def verify(
    path: str, form: Form, *, device: str | None = None, revision: str | None = None
) -> Verdict:
    """Load a run or a pushed model and compare.

    Args:
        path: Directory or Hub id.
        form: In which form to load it.
        device: Such as ``cpu``; a GPU where there is one by default.
        revision: Branch, tag or commit on the Hub.

    Raises:
        UserError: It cannot be loaded, saved no logits, or has no adapter to merge.
    """
    directory = located(path, revision)
    probe = load_probe(directory)
    config = ModelConfig(path=str(directory), dtype=probe.dtype)  # type: ignore[arg-type]  # as saved
    if form is Form.FOUR_BIT and not probe.four_bit:
        config = dataclasses.replace(config, quantization=QuantizationSection())
    model = load_policy(config).model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if form is Form.MERGED:
        if not is_adapter(model):
            raise UserError(f"{path}: holds a whole model, and no adapter that could be merged.")
        model = merged(model, directory)
    return judge(probe, model)


def judge(probe: Probe, model: Any) -> Verdict:
    """Compare a loaded model with a probe."""
    return Verdict(compare(probe, model), limit_of(probe, model))


def limit_of(probe: Probe, model: Any) -> Limit:
    """What is allowed for this model."""
    merged_now = probe.adapter and not is_adapter(model)
    if model_is_quantized(model) and not probe.four_bit:
        return Limit(None, 0.5, "weights in 4 bits")
    if device_name(model) == probe.device:
        if not merged_now and model_is_quantized(model) == probe.four_bit:
            return Limit(1e-5, None, "the weights as they were saved")
        if probe.dtype == "float32" and not probe.four_bit:
            return Limit(1e-3, None, "a merged adapter")
    if probe.four_bit:  # whatever the other weights are, TRL's adapter on them computes in bfloat16
        return Limit(None, 0.3, "what an adapter computed in 16 bits")
    what = "a merged adapter" if merged_now else f"another device than {probe.device}"
    if probe.dtype == "float32":
        return Limit(None, 0.01, what)
    return Limit(None, 0.3, f"{what}, in {probe.dtype}")


def merged(model: Any, directory: str | Path) -> Any:
    """An adapter's base with the adapter in its weights; those of 4 bits are unpacked first, so nothing is rounded."""
    if model_is_quantized(model):
        from peft import PeftModel

        whole = (
            model.unload().dequantize()
        )  # under an adapter, PEFT would still take its layers for packed ones
        whole.is_loaded_in_4bit = False  # transformers 5.23 forgets to
        model = PeftModel.from_pretrained(whole, directory)
    return model.merge_and_unload(safe_merge=True)
