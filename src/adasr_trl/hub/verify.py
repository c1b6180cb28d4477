"""Comparison of a loaded model's logits with those at the end of its training.

    >>> verify("me/streaming-qwen3", Form.SAVED).within
    True

    same weights, same device            every logit within 1e-5
    merged, float32, same device         every logit within 1e-3
    anything else in float32             typically 0.01 of the logits' standard deviation
    anything else in 16 bits, an adapter typically 0.3 of it (as in ``engines.selfcheck``: rounding alone moves them)
    on 4 bits that was merged included
    4 bits of what was trained in whole  typically 0.5 of it

"Typically" is the median over tokens of the mean difference. The limits are our choice.
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
    """The model as it was saved, its adapter merged into the base, or weights in 4 bits."""

    SAVED = "saved"
    MERGED = "merged"
    FOUR_BIT = "4bit"


@dataclass(frozen=True)
class Limit:
    """Largest allowed distance of a model from its probe."""

    most: float  # the distance
    typical: bool  # of the typical difference, in standard deviations, else of the largest
    reason: str  # what makes the difference


@dataclass(frozen=True)
class Verification:
    """A measured difference and its limit."""

    difference: LogitDifference
    limit: Limit

    @property
    def value(self) -> float:
        """The difference that the limit is of."""
        return self.difference.typical if self.limit.typical else self.difference.largest

    @property
    def within(self) -> bool:
        """Whether the model is the one that was trained."""
        return self.value <= self.limit.most

    def __str__(self) -> str:
        """One line."""
        of = "standard deviations, typical" if self.limit.typical else "largest"
        words = "the same model" if self.within else "NOT the model that was trained"
        allowed = f"allowed {self.limit.most:g} for {self.limit.reason}"
        return f"{words}: logits differ by {self.value:.2g} ({of}), {allowed}"


def verify(
    path: str, form: Form, *, device: str | None = None, revision: str | None = None
) -> Verification:
    """Load a run or a pushed model and compare.

    Args:
        path: Directory or Hub id.
        form: Form of the loaded model.
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


def judge(probe: Probe, model: Any) -> Verification:
    """Compare a loaded model with a probe."""
    return Verification(compare(probe, model), limit_of(probe, model))


def limit_of(probe: Probe, model: Any) -> Limit:
    """The limit for this model."""
    is_merged = probe.adapter and not is_adapter(model)
    if model_is_quantized(model) and not probe.four_bit:
        return Limit(0.5, True, "weights in 4 bits")
    if device_name(model) == probe.device:
        if not is_merged and model_is_quantized(model) == probe.four_bit:
            return Limit(1e-5, False, "the weights as they were saved")
        if probe.dtype == "float32" and not probe.four_bit:
            return Limit(1e-3, False, "a merged adapter")
    if probe.four_bit:  # whatever the other weights are, TRL's adapter on them computes in bfloat16
        return Limit(0.3, True, "what an adapter computed in 16 bits")
    reason = "a merged adapter" if is_merged else f"another device than {probe.device}"
    if probe.dtype == "float32":
        return Limit(0.01, True, reason)
    return Limit(0.3, True, f"{reason}, in {probe.dtype}")


def merged(model: Any, directory: str | Path) -> Any:
    """An adapter's base with the adapter in its weights; those of 4 or 8 bits are unpacked first, so nothing is rounded."""
    if model_is_quantized(model):
        from peft import PeftModel

        # Without unloading, PEFT would still take the layers below the adapter for packed ones.
        whole = model.unload().dequantize()
        whole.is_loaded_in_4bit = whole.is_loaded_in_8bit = False  # transformers 5.23 forgets to
        whole._weight_conversions = None  # of packed weights as they were stored; none lead back
        model = PeftModel.from_pretrained(whole, directory)
    try:
        return model.merge_and_unload(safe_merge=True)
    except torch.OutOfMemoryError:
        raise
    except (AttributeError, RuntimeError, ValueError) as error:
        # PEFT's, of adapters that no weights can hold.
        words = " ".join(str(error).split())
        raise UserError(
            f"{directory}: its adapter cannot be merged ({type(error).__name__}: {words}); use it as an adapter."
        ) from error
