"""Both layouts side by side: rollouts a second, and the peak memory of a training step.

    python benchmarks/layouts.py            # about 3 minutes on one core; prints the tables of docs/PERFORMANCE.md

Rollouts: a random model that never ends a segment itself, so that both layouts write the same number of tokens; the same
process, one thread, five repetitions in turn. Memory: a process for each layout and length, forward and backward of one
sequence, with gradient checkpointing; what is shown is the growth of the process' peak over the loaded model (Linux).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from adasr_trl.codec import Codec
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.episode import AnswerType, Episode, Source
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.views import Viewed
from adasr_trl.model import train_tokenizer
from adasr_trl.protocol import Mode, Phase

LAYOUTS = ("interleaved", "parallel")
LENGTHS = (512, 2048, 8192)
SENTENCE = " Tom finds 3 more coins in the box near the old green door."
ROLES = ("chunk_end", "thought_end", "skip", "stream_end", "reasoning_end")
REPEATS = 5


def model_of(vocabulary: int, hidden: int, layers: int) -> Qwen3ForCausalLM:
    """A random Qwen3."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=hidden // 4,
        max_position_embeddings=16_384,
    )
    config._attn_implementation = "sdpa"
    return Qwen3ForCausalLM(config)


def episode_of(chunks: int, name: str) -> Episode:
    """An episode of sentences with one thought each."""
    return Episode(
        id=name,
        group=name,
        question="How many coins does Tom have?",
        chunks=(SENTENCE,) * chunks,
        answer="8",
        answer_type=AnswerType.NUMBER,
        source=Source("benchmark", "1", "Apache-2.0", "test"),
        thoughts=("Tom has 3 more coins",) * chunks,
        deep="Tom has 8 coins",
    )


def parts_of(layout: str, **caps: int) -> tuple[StreamingConfig, Codec]:
    """The layout's configuration, and a tokenizer that is the same for both."""
    streaming = StreamingConfig(layout=layout, max_prompt_tokens=100_000, **caps)  # type: ignore[arg-type]
    texts = [SENTENCE, "How many coins does Tom have?"]
    return streaming, Codec(train_tokenizer(texts, 400, streaming.markers), streaming.markers)


def rollouts(chunks: int, group: int, episodes: int) -> None:
    """Print one row: written tokens a second of both layouts, and their ratio."""
    caps = {"max_thought_tokens": 12, "max_deep_tokens": 64, "decode_batch": group * episodes}
    parts = {layout: parts_of(layout, **caps) for layout in LAYOUTS}
    codec = parts["parallel"][1]
    model = model_of(len(codec.tokenizer), 128, 4).eval()
    ends = [token_id for role in ROLES for token_id in codec.marker(role)]

    def never(_module: object, _args: object, output: object) -> None:
        output.logits[..., [*ends, codec.eos_id]] = -1e9  # type: ignore[attr-defined]

    model.register_forward_hook(never)
    requests = [
        Request(episode_of(chunks, f"e{e}"), g, Mode.STREAMING)
        for e in range(episodes)
        for g in range(group)
    ]
    speeds: dict[str, list[float]] = {layout: [] for layout in LAYOUTS}
    written = set()
    for _ in range(REPEATS):
        for layout, (streaming, own) in parts.items():
            engine = HFEngine(model, own, build_layout(streaming, own), streaming)
            started = time.process_time()
            found = engine.rollout(requests, Sampling(1.0))
            seconds = time.process_time() - started
            tokens = sum(r.tokens_in(Phase.STREAM) + r.tokens_in(Phase.DEEP) for r in found)
            written.add(tokens)
            speeds[layout].append(tokens / seconds)
    if len(written) != 1:
        raise SystemExit(f"the layouts wrote different numbers of tokens: {written}")
    ratios = [b / a for a, b in zip(speeds["interleaved"], speeds["parallel"], strict=True)]
    means = [f"{statistics.fmean(speeds[layout]):.0f}" for layout in LAYOUTS]
    spread = f"{statistics.fmean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"| {chunks} | {episodes} x {group} | {written.pop()} | {' | '.join(means)} | {spread} |")


def memory(layout: str, length: int) -> None:
    """Print the growth of this process' peak memory over a training step, in MiB."""
    streaming, codec = parts_of(layout)
    built = build_layout(streaming, codec)
    chunks = 1
    while len(built.encode(episode_of(chunks + 1, "e"), Mode.STREAMING).token_ids) <= length:
        chunks += 1
    encoded = built.encode(episode_of(chunks, "e"), Mode.STREAMING)
    model = model_of(len(codec.tokenizer), 256, 4).train()
    model.gradient_checkpointing_enable()
    ids = torch.tensor([encoded.token_ids])
    views = built.views(encoded)
    forward = model if views is None else Viewed(model, lambda _: torch.tensor([views]))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = kibibytes("VmRSS")
    forward(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    print(f"{ids.size(1)} {(kibibytes('VmHWM') - before) / 1024:.0f}")


def kibibytes(name: str) -> int:
    """A line of this process' status (Linux): VmRSS is the memory in use, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables, or one measurement for the process that asks for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=2, metavar=("LAYOUT", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.memory:
        memory(options.memory[0], int(options.memory[1]))
        return
    print(
        "| chunks | rollouts | tokens written | interleaved, tokens/s | parallel, tokens/s | ratio |"
    )
    print("|---|---|---|---|---|---|")
    for chunks, group, episodes in ((8, 4, 4), (8, 16, 1), (32, 4, 4)):
        rollouts(chunks, group, episodes)
    print("\n| tokens | interleaved, MiB | parallel, MiB |\n|---|---|---|")
    for length in LENGTHS:
        peaks = []
        for layout in LAYOUTS:
            command = [sys.executable, __file__, "--memory", layout, str(length)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks.append(done.stdout.split()[1])
        print(f"| {length} | {' | '.join(peaks)} |")


if __name__ == "__main__":
    main()
