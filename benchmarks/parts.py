"""Shared by the benchmarks: a random model, episodes, training arguments, timing in turns, and ratios.

Everything is timed in CPU seconds of one thread, in one process, one engine after the other, again and again: a ratio
of neighbours in time says more than two numbers from different minutes.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from adasr_trl.config.sections import ScratchConfig, StreamingConfig
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.protocol import ROLES
from adasr_trl.layouts.codec import Codec
from adasr_trl.models.loading import train_tokenizer

SENTENCE = " Tom finds 3 more coins in the box near the old green door."
LONG_SENTENCE = (
    " Tom then finds 3 more coins in the box near the old green door, and 2 in the jar by the bed."
)
QUESTION = "How many coins does Tom have?"
REPEATS = 5
# Training arguments of steps that are timed: on the CPU, without checkpoints and logs.
TIMED: Mapping[str, Any] = {
    "learning_rate": 1e-5,
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "disable_tqdm": True,
    "gradient_checkpointing": False,
    "logging_strategy": "no",
}


def model_of(vocabulary: int, hidden: int, layers: int) -> Qwen3ForCausalLM:
    """A random Qwen3 with heads of at most 64, two for each key-value head as in Qwen3-0.6B and 1.7B."""
    torch.manual_seed(0)
    size = min(64, hidden // 4)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // size,
        num_key_value_heads=hidden // size // 2,
        head_dim=size,
        max_position_embeddings=16_384,
    )
    config._attn_implementation = "sdpa"
    return Qwen3ForCausalLM(config)


def episode_of(chunks: Sequence[str], name: str) -> Episode:
    """An episode of these sentences with a thought each."""
    return Episode(
        id=name,
        group=name,
        question=QUESTION,
        chunks=tuple(chunks),
        answer="8",
        answer_type=AnswerType.NUMBER,
        source=Source("benchmark", "1", "Apache-2.0", "test"),
        thoughts=("Tom has 3 more coins",) * len(chunks),
        deep="Tom has 8 coins",
    )


def codec_of(streaming: StreamingConfig) -> Codec:
    """A tokenizer whose words and markers are single tokens."""
    texts = [SENTENCE, LONG_SENTENCE, QUESTION, streaming.instruction]
    return Codec(
        train_tokenizer(texts, ScratchConfig(vocab_size=400), streaming.markers), streaming.markers
    )


def end_ids(codec: Codec) -> list[int]:
    """The tokens that a model which never ends a segment by itself must not write."""
    return [*(token_id for role in ROLES for token_id in codec.marker(role)), codec.eos_id]


def in_turns(
    work: Mapping[str, Callable[[], object]], repeats: int = REPEATS, warm_up: bool = True
) -> dict[str, list[float]]:
    """CPU seconds of each, measured one after the other, ``repeats`` times."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for again in range(repeats + warm_up):
        for name, run in work.items():
            gc.collect()
            started = time.process_time()
            run()
            if again or not warm_up:
                seconds[name].append(time.process_time() - started)
    return seconds


def ratio(slower: Sequence[float], faster: Sequence[float]) -> str:
    """How many times faster, turn by turn: the median, the minimum and the maximum."""
    ratios = [a / b for a, b in zip(slower, faster, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def kibibytes(name: str) -> int:
    """A line of this process' status (Linux): VmRSS is the memory in use, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def restart_peak() -> None:
    """Let this process' peak of memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def printed(module: str, arguments: Sequence[str]) -> str:
    """The number that a process of its own prints in a line such as ``peak 215``."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(line for line in done.stdout.splitlines() if line.startswith("peak")).split()[1]
