"""Rollouts and training steps at the shapes of Qwen3-0.6B and 1.7B on one GPU, written into docs/PERFORMANCE.md.

    python -m benchmarks.gpu                                    # about 8 minutes on one device
    python -m benchmarks.gpu --shapes tiny --page copy.md       # a try on a CPU

Weights are random, so nothing is downloaded. A step is the forward and backward pass of one group: padded rows under a
dense mask, distinct tokens by parts (SDPA), and distinct tokens under FlexAttention. Their gradients are compared, first
in float32 at two layers, where only rounding may differ. Seconds are wall clock, medians of the repeats.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM
from trl.trainer.utils import add_fused_lm_head

from adasr_trl.config.sections import ModelConfig, QuantizationSection
from adasr_trl.core.files import put_between
from adasr_trl.engines import Sampling
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.visibility import StreamingForward
from adasr_trl.models.loading import load_model
from adasr_trl.training.shared_forward import IGNORED, SharedForward
from benchmarks import parts
from benchmarks.__main__ import PAGE, made
from benchmarks.rollout import PlannedEngine
from benchmarks.shared_prefix import Case

SHAPES = {  # hidden, intermediate, layers, heads, key-value heads, head size, vocabulary
    "Qwen3-0.6B": (1024, 3072, 28, 16, 8, 128, 151_936),
    "Qwen3-1.7B": (2048, 6144, 28, 16, 8, 128, 151_936),
    "tiny": (32, 64, 2, 2, 1, 16, 512),
}
WEIGHTS = ("LoRA", "QLoRA")
FORMS = ("padded", "shared", "FlexAttention")
HEADER = (
    *("model", "weights", "layout", "work", "seconds", "tokens a second", "peak, GiB"),
    "gradients, relative difference to padded",
)


@dataclass(frozen=True)
class Setting:
    """One model under test, and the device."""

    shape: str
    weights: str
    dtype: torch.dtype
    device: torch.device
    layers: int | None = None  # by default the shape's

    def model(self, case: Case) -> Any:
        """The random model with TRL's fused head, and its adapter."""
        hidden, intermediate, layers, heads, kv_heads, size, vocabulary = SHAPES[self.shape]
        torch.manual_seed(0)
        config = Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=self.layers or layers,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=size,
            tie_word_embeddings=True,
        )
        model = Qwen3ForCausalLM(config).to(self.dtype)
        if self.weights == "QLoRA":
            model = in_4_bits(model, self.dtype, case)
        model.config._attn_implementation = "sdpa"
        add_fused_lm_head(model, outputs=("log_probs", "entropy"))
        model = model.to(self.device)
        if self.weights == "all":
            return model
        return get_peft_model(model, LoraConfig(r=16, target_modules="all-linear"))


def in_4_bits(model: Qwen3ForCausalLM, dtype: torch.dtype, case: Case) -> Any:
    """The model with nf4 weights."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        name: Any = str(dtype).removeprefix("torch.")
        quantization = QuantizationSection(compute_dtype=name)
        config = ModelConfig(path=folder, dtype=name, quantization=quantization)
        return load_model(config, case.work.codec.tokenizer, 0)


def lines_of(setting: Setting, case: Case, repeats: int) -> list[list[str]]:
    """The table's rows of one model: its steps and its rollouts."""
    model = setting.model(case)
    inner = model if setting.weights == "all" else model.get_base_model()
    ids, visibility = (column.to(setting.device) for column in case.rows())
    source = int((visibility > 0).sum(dim=1).max())
    labels = ids.masked_fill(visibility == 0, IGNORED)
    labels[:, :source] = IGNORED
    plain = StreamingForward(model, inner, lambda _: visibility)
    shared = SharedForward(model, inner, plain, visibility)
    lines: list[tuple[str, float, float, float, str]] = []
    reference: Tensor | None = None
    for form in FORMS:
        inner.config._attn_implementation = "flex_attention" if form == "FlexAttention" else "sdpa"
        forward = plain if form == "padded" else shared
        if form == "FlexAttention" and setting.device.type == "cpu":
            continue  # without a backward pass there
        seconds, peak = measured(partial(step, model, forward, ids, labels), setting, repeats)
        gradient = torch.cat(
            [p.grad.float().flatten() for p in model.parameters() if p.grad is not None]
        )
        reference = gradient if reference is None else reference
        apart = float((gradient - reference).norm() / reference.norm())
        tokens = int((visibility != 0).sum())
        lines.append((form, seconds, tokens / seconds, peak, f"{apart:.1e}"))
    inner.config._attn_implementation = "sdpa"
    model.zero_grad(set_to_none=True)
    seconds, peak = measured(lambda: rollouts(inner.eval(), case), setting, 1)
    lines.append(("rollouts", seconds, case.work.written / seconds, peak, "-"))
    name = f"{setting.shape}, {setting.layers} layers" if setting.layers else setting.shape
    weights = f"{setting.weights}, {str(setting.dtype).removeprefix('torch.')}"
    return [
        [name, weights, case.layout, work, f"{seconds:.3f}", f"{rate:.0f}", f"{peak:.2f}", apart]
        for work, seconds, rate, peak, apart in lines
    ]


def step(model: Any, forward: Callable[..., Any], ids: Tensor, labels: Tensor) -> None:
    """Forward and backward pass of a group, each token with an advantage of its own."""
    model.zero_grad()
    mask = torch.ones_like(ids)
    outputs = forward(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    dice = torch.Generator(ids.device).manual_seed(0)
    advantages = torch.randn(outputs.log_probs.shape, generator=dice, device=ids.device)
    (outputs.log_probs * advantages).sum().backward()


@torch.no_grad()
def rollouts(model: Any, case: Case) -> None:
    """The group's rollouts, of the planned lengths."""
    layout = build_layout(case.streaming, case.work.codec)
    engine: Any = PlannedEngine(model, case.work.codec, layout, case.streaming)
    engine.lengths = case.work.lengths
    engine.rollout(case.work.requests, Sampling(1.0))


def measured(work: Callable[[], None], setting: Setting, repeats: int) -> tuple[float, float]:
    """Median seconds of some work, behind one that prepares, and its peak memory in GiB (GPU only)."""
    is_gpu = setting.device.type == "cuda"
    seconds = []
    for again in range(repeats + 1):
        gc.collect()
        if is_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        work()
        if is_gpu:
            torch.cuda.synchronize()
        if again:
            seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() / 2**30 if is_gpu else 0.0
    return statistics.median(seconds), peak


def settings_of(shapes: Sequence[str], device: torch.device) -> list[Setting]:
    """Each shape at two layers in float32, and whole with each kind of weights."""
    whole = torch.bfloat16 if device.type == "cuda" else torch.float32
    exact = [Setting(shape, "all", torch.float32, device, layers=2) for shape in shapes]
    return exact + [Setting(shape, kind, whole, device) for shape in shapes for kind in WEIGHTS]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default="Qwen3-0.6B,Qwen3-1.7B", help=", ".join(SHAPES))
    parser.add_argument("--source", type=int, default=512, help="S")
    parser.add_argument("--written", type=int, default=128, help="T")
    parser.add_argument("--group", type=int, default=8, help="G")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lines = []
    for setting in settings_of(options.shapes.split(","), device):
        case = Case("parallel", options.source, options.written, options.group, ragged=False)
        lines += lines_of(setting, case, options.repeats)
        print("\n".join(" | ".join(line) for line in lines[-len(FORMS) - 1 :]), flush=True)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    put_between(options.page, "gpu", f"{parts.table(HEADER, lines)}\n\n{name}; {made()}")


if __name__ == "__main__":
    main()
