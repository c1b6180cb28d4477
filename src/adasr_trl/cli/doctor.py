"""``adasr doctor``: can a run learn, and what will it take? A few rollouts and micro-batches tell; nothing is written.

    adasr doctor --config configs/tiny/hrpo.yaml --learning_rate 1e-4

A file with rewards is examined for RL: some groups are rolled out and scored as in training. Any other file is examined for
SFT: its traces are held against the caps. Exit status 0, or 3 with the changes that a run needs to learn at all. Time and
memory are measured on this machine and extrapolated; vLLM, sharding and evaluations are not tried.
"""

from __future__ import annotations

import argparse
import logging
import math
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from adasr_trl.cli import doctor_checks as checks
from adasr_trl.cli.arguments import add_config
from adasr_trl.cli.doctor_checks import Work
from adasr_trl.cli.prepare import Prepared, prepare
from adasr_trl.config.loading import load_config

if TYPE_CHECKING:
    from adasr_trl.config.sections import StreamingConfig
    from adasr_trl.core.clock import Clock
    from adasr_trl.hrpo.group_filter import GenerationBatch
    from adasr_trl.layouts import Encoded

logger = logging.getLogger(__name__)

GROUPS = 4
TRACES = 200  # examined, spread over the file
CANNOT_LEARN = 3


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.epilog = "Any --key value overrides the file. Exit status 3: it cannot learn."
    add_config(parser)
    parser.set_defaults(execute=lambda options: doctor(options.config, options.overrides))


def doctor(config: str, overrides: Sequence[str]) -> int:
    """Examine a configuration and print the findings; return the exit status."""
    prepared = prepare(config, overrides, _command(config, overrides))
    examine = _examine_traces if prepared.command == "sft" else _examine_rollouts
    lines, faults = examine(prepared)
    lines += checks.version_lines()
    lines += [f"CANNOT LEARN: {fault}." for fault in faults] or ["This run can learn."]
    sys.stdout.write("\n".join(lines) + "\n")
    return CANNOT_LEARN if faults else 0


def _command(config: str, overrides: Sequence[str]) -> str:
    """The command that a file is for."""
    keys = load_config(config, overrides, {}).flat
    if "rewards" not in keys:
        return "sft"
    return "grpo" if keys.get("advantages") == "flat" else "hrpo"


def _examine_rollouts(prepared: Prepared) -> tuple[list[str], list[str]]:
    """Lines and faults of an RL run."""
    from adasr_trl.engines import CacheBudget

    args, data, streaming = prepared.args, prepared.texts.data, prepared.streaming
    episodes = len(data.train) + len(data.held_out)
    model = _load_model(prepared)
    budget = CacheBudget(streaming.decode_batch)
    started = time.monotonic()
    batch = _generate(prepared, model, budget)
    seconds = time.monotonic() - started
    shares = rollout_shares(batch, streaming.clock)
    rows = [list(scored.rollout.token_ids) for scored in batch.rollouts]
    batches = args.gradient_accumulation_steps / (args.steps_per_generation * args.num_iterations)
    rollout = Work("rollout", seconds / len(rows), batches * args.generation_batch_size)
    together = min(streaming.decode_batch, args.generation_batch_size)  # in a step of the training
    measured = min(streaming.decode_batch, len(rows))
    lines = [
        _marker_line(prepared),
        *checks.rollout_lines(shares, len(rows), len(rows) // args.num_generations, episodes),
        checks.time_line(
            _steps(args, len(data.train) * args.num_generations),
            [rollout, _micro_batch(model, rows, args)],
        ),
        _memory_line(model, budget.peak_bytes * together / measured),
        _precision_line(model),
    ]
    return lines, checks.rollout_faults(shares)


def _examine_traces(prepared: Prepared) -> tuple[list[str], list[str]]:
    """Lines and faults of an SFT run."""
    from adasr_trl.core.protocol import Mode

    args, texts, streaming = prepared.args, prepared.texts, prepared.streaming
    train = texts.data.train
    model = _load_model(prepared)
    episodes = train[:: max(1, len(train) // TRACES)]
    encoded = [texts.layout.encode(episode, Mode(args.mode)) for episode in episodes]
    shares = trace_shares(encoded, streaming)
    micro_batch = _micro_batch(model, [list(trajectory.token_ids) for trajectory in encoded], args)
    lines = [
        _marker_line(prepared),
        *checks.trace_lines(shares, len(encoded), len(train) + len(texts.data.held_out)),
        checks.time_line(_steps(args, len(train)), [micro_batch]),
        _memory_line(model, 0.0),
        _precision_line(model),
    ]
    return lines, checks.trace_faults(shares)


def _load_model(prepared: Prepared) -> Any:
    """The model as training would have it, with a new adapter where the file asks for one."""
    from adasr_trl.training.loop import lora_config

    model, section = prepared.load_model(), prepared.loaded.section("lora")
    if section is not None:
        from peft import get_peft_model

        model = get_peft_model(model, lora_config(section, prepared.texts.codec))
    return model.to(prepared.args.device)


def _generate(prepared: Prepared, model: Any, budget: Any) -> GenerationBatch:
    """Some groups, rolled out and scored as in training."""
    from accelerate import Accelerator

    from adasr_trl.core.protocol import Mode
    from adasr_trl.engines.registry import local_engine
    from adasr_trl.hrpo.rollouts import RolloutSampler, SamplingContext
    from adasr_trl.hrpo.stream_values import plain_valuer
    from adasr_trl.models.loading import Policy

    args, texts = prepared.args, prepared.texts
    policy = Policy(prepared.model_config, prepared.streaming, texts.tokenizer)
    policy.model = model
    engine = local_engine(policy, budget)
    train, size = texts.data.train, args.num_generations
    episodes = train[:: max(1, len(train) // GROUPS)][:GROUPS]
    rewards, mode = prepared.rewards, Mode(args.mode)
    valuer = plain_valuer(model, rewards, engine.rollout, texts.layout, texts.codec)
    sampler = RolloutSampler(train, rewards, engine.rollout, mode, args.is_flat, valuer)
    context = SamplingContext("doctor", 0, args.settings(size, 0.0), 0.0, args.sampling, None)
    repeated = [episode for episode in episodes for _ in range(size)]
    logger.info("rolling out %d episodes %d times", len(episodes), size)
    return sampler.generate_batch(repeated, context, Accelerator(cpu=args.use_cpu))


def rollout_shares(batch: GenerationBatch, clock: Clock) -> dict[str, float]:
    """The training's metrics of a generation batch, the share of parsed answers, and the tokens read."""
    from adasr_trl.core.answers import extract
    from adasr_trl.core.protocol import Ending, Phase
    from adasr_trl.hrpo.metrics import group_metrics, rollout_metrics

    means = rollout_metrics(batch.rollouts, clock).items()
    answered = [scored for scored in batch.rollouts if scored.rollout.ending is Ending.ANSWERED]
    parsed = [extract(s.rollout.answer or "", s.episode.answer_type) is not None for s in answered]
    return {
        **{name: total / count for name, (total, count) in means if count},
        **group_metrics(batch),
        "answers/parsed": _share(parsed),
        "read/tokens": fmean(scored.rollout.tokens_in(Phase.READ) for scored in batch.rollouts),
    }


def trace_shares(encoded: Sequence[Encoded], streaming: StreamingConfig) -> dict[str, float]:
    """Shares beyond the caps, and mean tokens, of teacher's traces; named as the metrics of rollouts."""
    from adasr_trl.core.protocol import Phase

    thoughts: list[int] = []
    for trajectory in encoded:
        pairs = zip(trajectory.chunk_of_token, trajectory.phases, strict=True)
        thoughts += Counter(chunk for chunk, phase in pairs if phase is Phase.STREAM).values()
    deep = [trajectory.phases.count(Phase.DEEP) for trajectory in encoded]
    return {
        "streaming/capped": _share([tokens > streaming.max_thought_tokens for tokens in thoughts]),
        "deep/capped": _share([tokens > streaming.max_deep_tokens for tokens in deep]),
        "read/tokens": fmean(trajectory.phases.count(Phase.READ) for trajectory in encoded),
        "streaming/tokens": sum(thoughts) / len(encoded),
        "deep/tokens": fmean(deep),
    }


def _micro_batch(model: Any, rows: Sequence[list[int]], args: Any) -> Work:
    """A forward and backward pass under causal attention, the second of two."""
    import torch

    rows = [rows[n % len(rows)] for n in range(args.per_device_train_batch_size)]
    width = max(map(len, rows))
    padded = [row + row[-1:] * (width - len(row)) for row in rows]
    ids = torch.tensor(padded, device=model.device)  # (B, T)
    logger.info("timing a micro-batch of %d rows", len(rows))
    seconds = 0.0
    was_training = model.training
    for _ in range(2):
        model.train()
        started = time.monotonic()
        model(input_ids=ids, labels=ids).loss.backward()
        if ids.is_cuda:
            torch.cuda.synchronize()
        seconds = time.monotonic() - started
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return Work("micro-batch", seconds, args.gradient_accumulation_steps)


def _steps(args: Any, rows: int) -> int:
    """Optimizer steps of the training."""
    if args.max_steps > 0:
        return int(args.max_steps)
    batch = int(args.per_device_train_batch_size) * int(args.gradient_accumulation_steps)
    return math.ceil(rows * float(args.num_train_epochs) / batch)


def _memory_line(model: Any, cache_bytes: float) -> str:
    import torch

    sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    if model.device.type == "cuda":
        peak, device = torch.cuda.max_memory_allocated(), "the GPU"
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
        device = "this process, libraries included,"
    return (
        f"memory: weights {_size(sum(size for size, _ in sizes))}, gradients {_size(trained)}, AdamW's state "
        f"{_size(2 * trained)}, cache of a step's rollouts {_size(cache_bytes)} (from the sizes); {device} peaked at "
        f"{_size(peak)} here, without AdamW's state"
    )


def _precision_line(model: Any) -> str:
    from adasr_trl.models.precision import computing_dtype, slow_bfloat16

    name = str(computing_dtype(model)).removeprefix("torch.")
    return f"precision: layers compute in {name}; {slow_bfloat16(model) or 'fast on this device'}"


def _size(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _marker_line(prepared: Prepared) -> str:
    from adasr_trl.core.protocol import ROLES

    costs = ", ".join(f"{role} {len(prepared.texts.codec.marker(role))}" for role in ROLES)
    return f"markers, in tokens of this tokenizer: {costs} (paid at every chunk; 1 is cheapest)"


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0
