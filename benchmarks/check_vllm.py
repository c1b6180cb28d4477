"""Runs the vLLM engine for real, on a model made here, and compares it with the transformers engine.

    python benchmarks/check_vllm.py OUT            # HRPOTrainer, engine: vllm, colocate; all weights are trained
    python benchmarks/check_vllm.py OUT --lora     # an adapter is
    python benchmarks/check_vllm.py OUT --server http://127.0.0.1:8000    # rollouts alone, by a server of OUT/model

Needs vLLM (docs/VLLM.md says where). A small Qwen3 is taught the traces of 60 ledger episodes, trained for a few steps, and
asked before and after. Prints the figures of docs/VLLM.md and ends with status 1 if one is wrong. Left out: weight sync
to a server, sleep mode, several processes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from adasr_trl.config.sections import ModelConfig, RewardConfig, ScratchConfig, StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import HFEngine, Request, Sampling, VLLMEngine
from adasr_trl.engines.rollout_state import SequenceState
from adasr_trl.hrpo import HRPOConfig, HRPOTrainer
from adasr_trl.layouts import Layout, build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.models.loading import load_model, load_tokenizer
from adasr_trl.rewards import build_rewards
from data_builders.sources import ledger

STREAMING = StreamingConfig(max_thought_tokens=16, max_deep_tokens=64)
SCRATCH = ScratchConfig(hidden_size=64, intermediate_size=192, num_hidden_layers=2, head_dim=32)
LEDGER = (
    "--train-count 60 --test-count 1 --min-events 6 --max-events 9 --min-others 5 --max-others 8"
)
LORA = {"r": 8, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
REWARDS = [
    RewardConfig("accuracy", "global", 1.0),
    RewardConfig("format", "streaming", 0.25),
    RewardConfig("format", "deep", 0.25),
]
ROWS = 16
GREEDY, SAMPLED = Sampling(0.0), Sampling(1.0)
CLOSE = {"float32": 1e-4, "bfloat16": 0.5}  # largest difference of a log-probability
Roll = Callable[[Sequence[Request], Sampling], list[Rollout]]


class Report:
    """Figures, and which of them are wrong."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.figures: dict[str, object] = {}
        self.wrong: list[str] = []

    def add(self, name: str, figure: object, right: bool = True) -> None:
        """Keep a figure and print it."""
        self.figures[name] = figure
        print(f"{name:<58}{figure}{'' if right else '   WRONG'}", flush=True)
        if not right:
            self.wrong.append(name)

    def share(self, name: str, flags: Sequence[bool], *, all_must: bool = True) -> None:
        """How many of them are true."""
        self.add(name, f"{sum(flags)} of {len(flags)}", all(flags) or not all_must)


@dataclass(frozen=True)
class Subject:
    """What is asked: vLLM by ``roll``, and the transformers model that has the same weights."""

    roll: Roll
    model: Any
    codec: Codec
    layout: Layout
    dtype: str

    def compare(self, requests: Sequence[Request], report: Report, when: str) -> list[Rollout]:
        """Rollouts against transformers', a full forward and the protocol; returns the greedy ones."""
        greedy, sampled = self.roll(requests, GREEDY), self.roll(requests, SAMPLED)
        engine = HFEngine(self.model, self.codec, self.layout, STREAMING)
        pairs = zip(greedy, engine.rollout(requests, GREEDY), strict=True)
        same = [found.token_ids == expected.token_ids for found, expected in pairs]
        exact = self.dtype == "float32"
        report.share(f"{when}: greedy token ids equal transformers'", same, all_must=exact)
        largest = max(self.difference(rollout) for rollout in (*greedy, *sampled))
        close = largest < CLOSE[self.dtype]
        report.add(f"{when}: largest difference of a log-probability", f"{largest:.1e}", close)
        asked = zip((*requests, *requests), (*greedy, *sampled), strict=True)
        obeyed = [self.replayed(request, rollout) == rollout for request, rollout in asked]
        report.share(f"{when}: rollouts that obey the protocol", obeyed)
        thoughts = Counter(
            ending.value for rollout in sampled for ending in rollout.thought_endings
        )
        report.add(f"{when}: thoughts of sampled rollouts", dict(thoughts))
        ends = Counter(rollout.ending.value for rollout in sampled)
        report.add(f"{when}: sampled rollouts", dict(ends))
        return greedy

    @torch.no_grad()
    def difference(self, rollout: Rollout) -> float:
        """Recorded log-probabilities against one forward over the whole rollout; both at temperature 1."""
        ids = torch.tensor([rollout.token_ids], device=self.model.device)
        logp = torch.log_softmax(self.model.eval()(input_ids=ids).logits[0, :-1].float(), dim=-1)
        full = logp.gather(1, ids[0, 1:].unsqueeze(1)).squeeze(1).cpu()
        written = torch.tensor(rollout.phases[1:]) != Phase.READ
        recorded = torch.tensor((rollout.logprobs or ())[1:])
        return float((full - recorded)[written].abs().max())

    def replayed(self, request: Request, rollout: Rollout) -> Rollout:
        """The protocol, given the sampled tokens one by one."""
        positions = SCRATCH.max_position_embeddings
        state = SequenceState(request, self.layout, self.codec, STREAMING, positions)
        columns = zip(rollout.token_ids, rollout.phases, rollout.logprobs or (), strict=True)
        for token_id, phase, logprob in columns:
            if phase is not Phase.READ:
                state.accept(token_id, logprob)
        return state.rollout()

    def sample(self, requests: Sequence[Request], report: Report, shown: int) -> None:
        """The rate, whether rollouts repeat, and some to read: what was written stands in brackets."""
        started = time.monotonic()
        rollouts = self.roll(requests, SAMPLED)
        written = sum(phase is not Phase.READ for r in rollouts for phase in r.phases)
        report.add("sampled tokens a second", round(written / (time.monotonic() - started)))
        pairs = zip(rollouts, self.roll(requests, SAMPLED), strict=True)
        again = [first.token_ids == second.token_ids for first, second in pairs]
        report.share("sampled again: the same token ids", again, all_must=self.dtype == "float32")
        for rollout in rollouts[:shown]:
            words, was = "", Phase.READ
            for token_id, phase in zip(rollout.token_ids, rollout.phases, strict=True):
                words += "" if phase == was else "]" if phase is Phase.READ else "["
                words += self.codec.decode([token_id])
                was = phase
            print(f"--- {rollout.episode_id}, {rollout.ending.value}: {words}{']' * (was > 0)}")


class Watched:
    """Counts what vLLM does: requests, tokens, and rows that it works on together."""

    def __init__(self, engine: Any) -> None:
        """Stand between the engine and its caller."""
        self.requests = self.asked = self.cached = self.together = 0
        self._scheduler = engine.engine_core.engine_core.scheduler
        engine.step = partial(self._step, engine.step)

    def _step(self, step: Callable[[], list[Any]]) -> list[Any]:
        outputs = step()
        self.together = max(self.together, len(self._scheduler.running))
        for output in outputs:
            self.requests += 1
            self.asked += len(output.prompt_token_ids)
            self.cached += output.num_cached_tokens or 0
        return outputs


def main() -> int:
    """Check, print, write OUT/figures.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--lora", action="store_true", help="train an adapter")
    parser.add_argument("--server", metavar="URL", help="ask this server, and train nothing")
    parser.add_argument("--dtype", choices=list(CLOSE), default="float32", help="vLLM's precision")
    parser.add_argument("--block-size", type=int, help="tokens in a block of vLLM's cache")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--show", type=int, default=10, help="rollouts to print")
    options = parser.parse_args()
    torch.manual_seed(0)
    options.out.mkdir(parents=True, exist_ok=True)
    episodes, report = ledger_episodes(), Report()
    prepare(options.out / "model", episodes)
    requests = [Request(episode, 100 + n) for n, episode in enumerate(episodes[:ROWS])]
    if options.server:
        subject = served(options, episodes)
        subject.compare(requests, report, "server")
        subject.sample(requests, report, options.show)
    else:
        check_colocated(options, episodes, requests, report)
    (options.out / "figures.json").write_text(json.dumps(report.figures, indent=2))
    print(f"wrong: {', '.join(report.wrong) or 'nothing'}")
    return int(bool(report.wrong))


def check_colocated(
    options: argparse.Namespace,
    episodes: Sequence[Episode],
    requests: Sequence[Request],
    report: Report,
) -> None:
    """Ask before training, train, ask again."""
    configure_vllm(options.dtype, options.block_size)
    trainer = trainer_of(options, episodes)
    watched = Watched(trainer.vllm_generation.llm.llm_engine)
    model = trainer.accelerator.unwrap_model(trainer.model)
    parts = parts_of(trainer.processing_class)
    subject = Subject(trainer._rollout_sampler.generate, model, *parts, options.dtype)
    before = subject.compare(requests, report, "before training")
    subject.sample(requests, report, options.show)
    trainer.train()
    logged = {k: v for log in trainer.state.log_history for k, v in log.items() if "sampling/" in k}
    for name, value in logged.items():
        report.add(name, value)
    report.add("metrics of TRL's importance sampling", len(logged), len(logged) == 5)
    pairs = zip(before, subject.compare(requests, report, "after training"), strict=True)
    changed = [old.token_ids != new.token_ids for old, new in pairs]
    report.add("greedy rollouts changed by training", f"{sum(changed)} of {ROWS}", any(changed))
    report.add("requests", watched.requests)
    report.add("rows together, at most", watched.together, watched.together == ROWS)
    report.add("prompt tokens", watched.asked)
    report.add("share of them found in the prefix cache", f"{watched.cached / watched.asked:.1%}")


def served(options: argparse.Namespace, episodes: Sequence[Episode]) -> Subject:
    """A server's rollouts, through TRL's client; without the NCCL connection, that weight sync alone needs."""
    from accelerate import Accelerator
    from trl.generation.vllm_client import VLLMClient

    client = VLLMClient(base_url=options.server, connection_timeout=120.0)
    accelerator = Accelerator(cpu=True)
    generation = SimpleNamespace(mode="server", vllm_client=client, accelerator=accelerator)
    config = ModelConfig(path=str(options.out / "model"))
    tokenizer = load_tokenizer(config, STREAMING.markers, episodes)
    codec, layout = parts_of(tokenizer)
    engine = VLLMEngine(generation, codec, layout, STREAMING)
    return Subject(
        engine.rollout, load_model(config, tokenizer, seed=0), codec, layout, options.dtype
    )


def parts_of(tokenizer: Any) -> tuple[Codec, Layout]:
    """The codec and the interleaved layout."""
    codec = Codec(tokenizer, STREAMING.markers)
    return codec, build_layout(STREAMING, codec)


def ledger_episodes() -> list[Episode]:
    """60 episodes of 13 to 19 sentences."""
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    built = ledger.build(parser.parse_args(LEDGER.split()))
    return [episode for episode in built if episode.source.split == "train"]


def prepare(folder: Path, episodes: Sequence[Episode]) -> None:
    """A model that ends thoughts, skips and answers, after 150 steps on the traces; kept for the next call."""
    if (folder / "model.safetensors").is_file():
        return
    config = ModelConfig(init="scratch", scratch=SCRATCH)
    tokenizer = load_tokenizer(config, STREAMING.markers, episodes)
    _, layout = parts_of(tokenizer)
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
    """What TRL leaves to vLLM, whose "auto" is bfloat16 for a float32 model; without CUDA, plain matrix products."""
    from trl.generation import vllm_generation

    more = {"block_size": block_size} if block_size else {}
    vllm_generation.LLM = partial(vllm_generation.LLM, dtype=dtype, **more)
    if torch.cuda.is_available():
        return
    from vllm.model_executor.layers import utils

    def plain(layer: Any, **_more: bool) -> None:  # weights in packed form take no new ones
        layer.cpu_linear = torch.nn.functional.linear

    utils.dispatch_cpu_unquantized_gemm = plain


def trainer_of(options: argparse.Namespace, episodes: Sequence[Episode]) -> HRPOTrainer:
    """16 rollouts a step, four of each episode."""
    config = ModelConfig(path=str(options.out / "model"))
    tokenizer = load_tokenizer(config, STREAMING.markers, episodes)
    model = load_model(config, tokenizer, seed=0)
    if options.lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(**LORA))
    args = HRPOConfig(
        str(options.out / "run"),
        engine="vllm",
        num_generations=4,
        per_device_train_batch_size=ROWS,
        max_steps=options.steps,
        learning_rate=3e-3 if options.lora else 5e-4,
        lr_scheduler_type="constant",
        vllm_max_model_length=SCRATCH.max_position_embeddings,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        disable_tqdm=True,
        seed=5,
    )
    return HRPOTrainer(
        model,
        args=args,
        train_dataset=episodes,
        streaming=STREAMING,
        reward_funcs=build_rewards(REWARDS, STREAMING),
        processing_class=tokenizer,
    )


if __name__ == "__main__":
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
    sys.exit(main())
