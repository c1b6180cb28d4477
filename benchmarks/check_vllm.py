"""Runs the vLLM engine for real: HRPOTrainer with ``engine: vllm`` in TRL's colocate mode, on a model made here.

    python benchmarks/check_vllm.py OUT            # all weights are trained
    python benchmarks/check_vllm.py OUT --lora     # an adapter is

Needs vLLM (docs/VLLM.md says where). A small Qwen3 is taught the traces of 60 ledger episodes, trained for a few steps,
and asked before and after. Prints the figures of docs/VLLM.md and ends with status 1 if one is wrong. Not checked: server
mode, sleep mode, several processes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from adasr_trl.codec import Codec
from adasr_trl.config_sections import ModelConfig, RewardConfig, ScratchConfig, StreamingConfig
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.row import Row
from adasr_trl.episode import Episode
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.layouts import build_layout
from adasr_trl.model import load_model, load_tokenizer
from adasr_trl.protocol import Ending, Mode, Phase
from adasr_trl.rewards import build_rewards
from adasr_trl.rollout import Rollout
from data_builders import ledger

STREAMING = StreamingConfig(max_thought_tokens=16, max_deep_tokens=48)
SCRATCH = ScratchConfig(hidden_size=64, intermediate_size=192, num_hidden_layers=2, head_dim=32)
LORA = {"r": 8, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
REWARDS = [
    RewardConfig("accuracy", "global", 1.0),
    RewardConfig("format", "streaming", 0.25),
    RewardConfig("format", "deep", 0.25),
]
GREEDY, SAMPLED = Sampling(0.0), Sampling(1.0)
CLOSE = {"float32": 1e-3, "bfloat16": 0.5}  # largest difference of a log-probability


@dataclass
class Report:
    """Figures, and whether each is what it should be."""

    figures: dict[str, Any]
    wrong: list[str]

    def add(self, name: str, figure: Any, right: bool = True) -> None:
        """Keep a figure and print it."""
        self.figures[name] = figure
        print(f"{name:<58}{figure}{'' if right else '   WRONG'}", flush=True)
        if not right:
            self.wrong.append(name)


class Watched:
    """Counts what vLLM is asked for: requests, tokens, and rows that it works on together."""

    def __init__(self, engine: Any) -> None:
        """Stand between the engine and its caller."""
        self.requests = self.asked = self.cached = self.written = self.together = 0
        self._running = engine.engine_core.engine_core.scheduler.running
        self._scheduler = engine.engine_core.engine_core.scheduler
        engine.step = partial(self._step, engine.step)

    def _step(self, step: Callable[[], list[Any]]) -> list[Any]:
        outputs = step()
        self.together = max(self.together, len(self._scheduler.running))
        for output in outputs:
            if output.finished:
                self.requests += 1
                self.asked += len(output.prompt_token_ids)
                self.cached += output.num_cached_tokens or 0
                self.written += len(output.outputs[0].token_ids)
        return outputs


def main() -> int:
    """Check, print, write OUT/figures.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--lora", action="store_true", help="train an adapter")
    parser.add_argument("--dtype", choices=list(CLOSE), default="float32", help="vLLM's precision")
    parser.add_argument("--block-size", type=int, help="tokens of a block of vLLM's cache")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--show", type=int, default=10, help="rollouts to print")
    options = parser.parse_args()
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    episodes = ledger_episodes()
    prepare(options.out / "model", episodes)
    configure_vllm(options.dtype, options.block_size)
    report = Report({}, [])
    check(trainer_of(options, episodes), episodes[:16], report, options)
    (options.out / "figures.json").write_text(json.dumps(report.figures, indent=2))
    print(f"wrong: {', '.join(report.wrong) or 'nothing'}")
    return int(bool(report.wrong))


def check(
    trainer: HRPOTrainer, episodes: Sequence[Episode], report: Report, options: argparse.Namespace
) -> None:
    """Ask before training, train, ask again."""
    codec = Codec(trainer.processing_class, STREAMING.markers)
    parts = (build_layout(STREAMING, codec), codec, STREAMING)
    watched = Watched(trainer.vllm_generation.llm.llm_engine)
    requests = [Request(episode, 100 + n) for n, episode in enumerate(episodes)]
    roll = trainer._drawer.roll
    before = ask(trainer, roll, requests, parts, report, "before training", options)
    started = time.monotonic()
    rolled = roll(requests, SAMPLED)
    seconds = time.monotonic() - started
    written = sum(sum(phase is not Phase.READ for phase in r.phases) for r in rolled)
    report.add("sampled tokens a second", round(written / seconds))
    show(rolled[: options.show], codec)
    again = roll(requests, SAMPLED)
    same = sum(a.token_ids == b.token_ids for a, b in zip(rolled, again, strict=True))
    report.add("sampled again: same token ids", f"{same} of {len(rolled)}")
    trainer.train()
    metrics = {k: v for log in trainer.state.log_history for k, v in log.items() if "sampling/" in k}
    for name, value in metrics.items():
        report.add(name, value)
    report.add("importance-sampling metrics of TRL", len(metrics), len(metrics) == 5)
    after = ask(trainer, roll, requests, parts, report, "after training", options)
    changed = sum(a.token_ids != b.token_ids for a, b in zip(before, after, strict=True))
    report.add("greedy rollouts changed by training", f"{changed} of {len(after)}", changed > 0)
    report.add("requests", watched.requests)
    report.add("rows in flight at once, at most", watched.together, watched.together >= 16)
    report.add("prompt tokens asked", watched.asked)
    report.add("of them found in the prefix cache", f"{watched.cached / watched.asked:.1%}")
    report.add("tokens written by vLLM", watched.written)


def ask(
    trainer: HRPOTrainer,
    roll: Callable[..., list[Rollout]],
    requests: Sequence[Request],
    parts: tuple[Any, ...],
    report: Report,
    when: str,
    options: argparse.Namespace,
) -> list[Rollout]:
    """Greedy rollouts of vLLM against those of transformers; returns vLLM's."""
    layout, codec, streaming = parts
    found = roll(requests, GREEDY)
    model = trainer.accelerator.unwrap_model(trainer.model)
    expected = HFEngine(model, codec, layout, streaming).rollout(requests, GREEDY)
    same = sum(a.token_ids == b.token_ids for a, b in zip(found, expected, strict=True))
    exact = options.dtype == "float32"
    report.add(
        f"{when}: greedy equals transformers",
        f"{same} of {len(found)}",
        not exact or same == len(found),
    )
    sampled = roll(requests, SAMPLED)
    largest = max(
        largest_difference(model, rollout, sampling.temperature or 1.0)
        for rollouts, sampling in ((found, GREEDY), (sampled, SAMPLED))
        for rollout in rollouts
    )
    report.add(
        f"{when}: largest difference of a log-probability",
        f"{largest:.1e}",
        largest < CLOSE[options.dtype],
    )
    obeyed = sum(
        replayed(request, rollout, parts) == rollout
        for rollouts in (found, sampled)
        for request, rollout in zip(requests, rollouts, strict=True)
    )
    report.add(
        f"{when}: rollouts that obey the protocol",
        f"{obeyed} of {2 * len(found)}",
        obeyed == 2 * len(found),
    )
    endings = [ending.value for rollout in sampled for ending in rollout.thought_endings]
    report.add(f"{when}: thoughts", {each: endings.count(each) for each in sorted(set(endings))})
    ends = [rollout.ending.value for rollout in sampled]
    report.add(f"{when}: rollouts", {each: ends.count(each) for each in sorted(set(ends))})
    return found


@torch.no_grad()
def largest_difference(model: Any, rollout: Rollout, temperature: float) -> float:
    """Recorded log-probabilities against one forward over the whole rollout."""
    ids = torch.tensor([rollout.token_ids], device=model.device)
    logits = model.eval()(input_ids=ids).logits[0, :-1].float() / temperature
    full = torch.log_softmax(logits, dim=-1).gather(1, ids[0, 1:].unsqueeze(1)).squeeze(1).cpu()
    written = torch.tensor(rollout.phases[1:]) != Phase.READ
    recorded = torch.tensor((rollout.logprobs or ())[1:])
    return float((full - recorded)[written].abs().max())


def replayed(request: Request, rollout: Rollout, parts: tuple[Any, ...]) -> Rollout:
    """What the protocol makes of the sampled tokens, one by one."""
    row = Row(request, *parts, SCRATCH.max_position_embeddings)
    columns = zip(rollout.token_ids, rollout.phases, rollout.logprobs or (), strict=True)
    for token_id, phase, logprob in columns:
        if phase is not Phase.READ:
            row.accept(token_id, logprob)
    return row.rollout()


def show(rollouts: Sequence[Rollout], codec: Codec) -> None:
    """Print them: what was written stands in brackets."""
    for rollout in rollouts:
        print(f"--- {rollout.episode_id}: {rollout.ending.value}")
        words, was = "", Phase.READ
        for token_id, phase in zip(rollout.token_ids, rollout.phases, strict=True):
            words += "" if phase == was else ("]" if phase is Phase.READ else "[")
            words += codec.decode([token_id])
            was = phase
        print(words + ("]" if was is not Phase.READ else ""))


def ledger_episodes() -> list[Episode]:
    """60 episodes."""
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    options = parser.parse_args(["--train-count", "60", "--test-count", "1"])
    return [episode for episode in ledger.build(options) if episode.source.split == "train"]


def prepare(folder: Path, episodes: Sequence[Episode]) -> None:
    """A model that ends thoughts, skips and answers, after 150 steps on the traces; kept for the next call."""
    if (folder / "model.safetensors").is_file():
        return
    config = ModelConfig(init="scratch", scratch=SCRATCH)
    tokenizer = load_tokenizer(config, STREAMING.markers, episodes)
    layout = build_layout(STREAMING, Codec(tokenizer, STREAMING.markers))
    model = load_model(config, tokenizer, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(150):
        batch = [layout.encode(e, Mode.STREAMING) for e in episodes[step % 15 * 4 :][:4]]
        width = max(len(each.token_ids) for each in batch)
        ids, labels = torch.zeros(4, width, dtype=torch.long), torch.full((4, width), -100)
        for row, each in enumerate(batch):
            n = len(each.token_ids)
            ids[row, :n] = torch.tensor(each.token_ids)
            written = torch.tensor(each.phases) != Phase.READ
            labels[row, :n][written] = ids[row, :n][written]
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def configure_vllm(dtype: str, block_size: int | None) -> None:
    """What TRL leaves to vLLM: the precision ("auto" is bfloat16 for a float32 model). Without CUDA, plain matrix products."""
    from trl.generation import vllm_generation

    more = {"block_size": block_size} if block_size else {}
    vllm_generation.LLM = partial(vllm_generation.LLM, dtype=dtype, **more)
    if torch.cuda.is_available():
        return
    from vllm.model_executor.layers import utils

    def plain(layer: Any, remove_weight: bool) -> None:  # the packed form cannot take new weights
        layer.cpu_linear = torch.nn.functional.linear

    utils.dispatch_cpu_unquantized_gemm = plain


def trainer_of(options: argparse.Namespace, episodes: Sequence[Episode]) -> HRPOTrainer:
    """16 rollouts a step, four of each episode."""
    config = ModelConfig(path=str(options.out / "model"))
    tokenizer = load_tokenizer(config, STREAMING.markers, episodes)
    peft_config = None
    if options.lora:
        from peft import LoraConfig

        peft_config = LoraConfig(**LORA)
    cuda = torch.cuda.is_available()
    args = HRPOConfig(
        str(options.out / "run"),
        engine="vllm",
        num_generations=4,
        per_device_train_batch_size=16,
        max_steps=options.steps,
        learning_rate=3e-3 if options.lora else 5e-4,
        lr_scheduler_type="constant",
        vllm_gpu_memory_utilization=0.3,
        vllm_max_model_length=SCRATCH.max_position_embeddings,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=not cuda,
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        seed=5,
    )
    return HRPOTrainer(
        load_model(config, tokenizer, seed=0),
        args=args,
        episodes=episodes,
        streaming=STREAMING,
        rewards=build_rewards(REWARDS, STREAMING),
        processing_class=tokenizer,
        peft_config=peft_config,
    )


if __name__ == "__main__":
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    sys.exit(main())
