"""``adasr doctor``: before hours are spent, a few rollouts say whether a run can learn, and what it will take.

    adasr doctor --config configs/tiny/hrpo.yaml --learning_rate 1e-4

A file with rewards is taken for RL: some groups are rolled out and scored as the trainer would. Another one is taken for SFT:
its traces are counted against the caps. Nothing is written. Exit status 0, or 3 with what to change where the run cannot
learn. Time and memory are measured on this machine and extrapolated; vLLM, sharding and evaluations are not tried.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adasr_trl.cli import doctor_checks as checks
from adasr_trl.cli.doctor_checks import Pace, Rolled, Traced
from adasr_trl.cli.support_matrix import check
from adasr_trl.cli.train import RL_SECTIONS, SFT_SECTIONS, check_arguments, located, rewards_of
from adasr_trl.config.loading import LoadedConfig, ModelConfig, load_config, parse_trl
from adasr_trl.config.values import read_yaml

if TYPE_CHECKING:
    from adasr_trl.hrpo.group_filter import GenerationBatch
    from adasr_trl.training.data import Texts

GROUPS = 4
CANNOT_LEARN = 3
_GIB = 2**30


def doctor(config: str, overrides: Sequence[str]) -> int:
    """Examine a configuration, write what was found to the standard output; return the exit status."""
    is_rl = "rewards" in read_yaml(Path(config)).value or any("rewards" in o for o in overrides)  # type: ignore[operator]  # read_yaml gives a mapping
    lines, faults = (_examine_rl if is_rl else _examine_sft)(config, overrides)
    lines += _version_lines()
    lines += [f"CANNOT LEARN: {fault}." for fault in faults] or ["This run can learn."]
    sys.stdout.write("\n".join(lines) + "\n")
    return CANNOT_LEARN if faults else 0


def _examine_rl(config: str, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    from adasr_trl.engines import CacheBudget
    from adasr_trl.hrpo import HRPOConfig
    from adasr_trl.training.data import load_data, load_texts
    from adasr_trl.training.distributed import begin_processes

    loaded = load_config(config, overrides, RL_SECTIONS)
    streaming, flat = loaded.section("streaming"), loaded.flat.get("advantages") == "flat"
    rewards = rewards_of(loaded, streaming, flat=flat)
    check(loaded, "grpo" if flat else "hrpo")
    begin_processes(loaded.flat)
    args = parse_trl(loaded, HRPOConfig)
    check_arguments(loaded, args, rewards, streaming)
    data = load_data(loaded.section("data"))
    texts = located(loaded, lambda: load_texts(loaded.section("model"), data, streaming))
    model = _load(loaded, texts, args)
    budget = CacheBudget(streaming.decode_batch)
    started = time.monotonic()
    batch = _generate(model, loaded.section("model"), texts, args, rewards, budget)
    seconds = time.monotonic() - started
    found = summarise(batch)
    micro = _micro_batch_seconds(
        model,
        [list(scored.rollout.token_ids) for scored in batch.rollouts],
        args.per_device_train_batch_size,
    )
    pace = Pace(seconds, found.rollouts, micro)
    micro_batches = args.gradient_accumulation_steps
    batches = micro_batches / (args.steps_per_generation * args.num_iterations)
    steps = _steps(
        args, len(texts.data.train) * args.num_generations, args.per_device_train_batch_size
    )
    lines = [
        _marker_line(texts),
        *_rollout_lines(found, len(texts.data.train) + len(texts.data.held_out)),
    ]
    a_step = batches * args.generation_batch_size
    lines += _time_lines(pace, steps, a_step, micro_batches)
    fuller = min(streaming.decode_batch, args.generation_batch_size) / max(
        min(streaming.decode_batch, found.rollouts), 1
    )
    return [*lines, *_memory_lines(model, budget.peak_bytes * fuller)], checks.rollouts_faults(
        found
    )


def _examine_sft(config: str, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    from adasr_trl.core.protocol import Mode
    from adasr_trl.training.data import load_data, load_texts
    from adasr_trl.training.distributed import begin_processes
    from adasr_trl.training.sft import SFTSettings

    loaded = load_config(config, overrides, SFT_SECTIONS)
    streaming = loaded.section("streaming")
    check(loaded, "sft")
    begin_processes(loaded.flat)
    args = parse_trl(loaded, SFTSettings)
    data = load_data(loaded.section("data"), traced_with=streaming.markers)
    texts = located(loaded, lambda: load_texts(loaded.section("model"), data, streaming))
    model = _load(loaded, texts, args)
    episodes = texts.data.train[:: max(1, len(texts.data.train) // 200)]
    encoded = [texts.layout.encode(each, Mode(args.mode)) for each in episodes]
    found = _traced(encoded, streaming.max_thought_tokens, streaming.max_deep_tokens)
    micro = _micro_batch_seconds(
        model, [list(each.token_ids) for each in encoded], args.per_device_train_batch_size
    )
    lines = [
        _marker_line(texts),
        f"traces: {found.episodes} looked at; a mean one has {found.read:.0f} tokens of input, {found.streaming:.0f} of thoughts, "
        f"{found.deep:.0f} of deep part; all gold answers can be parsed ({len(data.train) + len(data.held_out)})",
        f"over the caps: {found.capped:.1%} of the thoughts, {found.clipped:.1%} of the deep parts",
    ]
    steps = _steps(args, len(data.train), args.per_device_train_batch_size)
    lines += _time_lines(Pace(0.0, 0, micro), steps, 0.0, args.gradient_accumulation_steps)
    return [*lines, *_memory_lines(model, 0.0)], checks.traces_faults(found)


def _load(loaded: LoadedConfig, texts: Texts, args: Any) -> Any:
    """The model as training would have it: with a new adapter where the file asks for one."""
    from adasr_trl.engines.selfcheck import load_model_for
    from adasr_trl.training.loop import lora_config

    config = loaded.section("model")
    model = load_model_for(texts.streaming, config, texts.tokenizer, args.seed)
    if loaded.section("lora") is not None:
        from peft import get_peft_model

        model = get_peft_model(model, lora_config(loaded.section("lora"), texts.codec))
    return model.to(args.device)


def _generate(
    model: Any, config: ModelConfig, texts: Texts, args: Any, rewards: Any, budget: Any
) -> GenerationBatch:
    """Some groups, rolled out and scored as the trainer would."""
    from accelerate import Accelerator

    from adasr_trl.core.protocol import Mode
    from adasr_trl.engines import Sampling
    from adasr_trl.engines.registry import local_engine
    from adasr_trl.hrpo.rollouts import RolloutSampler, SamplingContext
    from adasr_trl.models.loading import Policy

    policy = Policy(config, texts.streaming, texts.tokenizer)
    policy.model = model
    engine = local_engine(policy, budget)
    train, size = texts.data.train, args.num_generations
    asked = train[:: max(1, len(train) // GROUPS)][:GROUPS]
    sampler = RolloutSampler(train, tuple(rewards), engine.rollout, Mode(args.mode), args.is_flat)
    sampling = Sampling(args.temperature, args.top_p, max(args.top_k, 0), args.min_p or 0.0)
    context = SamplingContext("doctor", 0, args.settings(size, 0.0), 0.0, sampling, None)
    accelerator = Accelerator(cpu=args.use_cpu)
    episodes = [episode for episode in asked for _ in range(size)]
    return sampler.generate_batch(episodes, context, accelerator)


def summarise(batch: GenerationBatch) -> Rolled:
    """The shares of a generation batch."""
    from adasr_trl.core.answers import extract
    from adasr_trl.core.protocol import Ending, Phase

    rollouts = [scored.rollout for scored in batch.rollouts]
    thoughts = [ending for rollout in rollouts for ending in rollout.thought_endings]
    answered = [each for each in batch.rollouts if each.rollout.ending is Ending.ANSWERED]
    parsed = [
        each
        for each in answered
        if extract(each.rollout.answer or "", each.episode.answer_type) is not None
    ]
    kept = [ending for ending in thoughts if ending in (Ending.THOUGHT, Ending.SKIP)]
    groups = len(batch.first.all_right_N)
    return Rolled(
        rollouts=len(rollouts),
        groups=groups,
        protocol=_share(len(kept), len(thoughts)) if thoughts else 1.0,
        capped=_share(thoughts.count(Ending.OUT_OF_TOKENS), len(thoughts)),
        answered=_share(len(answered), len(rollouts)),
        clipped=_share(sum(r.ending is Ending.OUT_OF_TOKENS for r in rollouts), len(rollouts)),
        accuracy=_share(sum(scored.right for scored in batch.rollouts), len(rollouts)),
        parsed=_share(len(parsed), len(answered)),
        signal=1.0 - batch.first.no_signal.float().mean().item(),
        all_right=batch.first.all_right_N.float().mean().item(),
        read=_share(sum(r.tokens_in(Phase.READ) for r in rollouts), len(rollouts)),
        streaming=_share(sum(r.tokens_in(Phase.STREAM) for r in rollouts), len(rollouts)),
        deep=_share(sum(r.tokens_in(Phase.DEEP) for r in rollouts), len(rollouts)),
    )


def _traced(encoded: Sequence[Any], thought_cap: int, deep_cap: int) -> Traced:
    from adasr_trl.core.protocol import Phase

    thoughts: list[int] = []
    for each in encoded:
        streamed = [
            chunk
            for chunk, phase in zip(each.chunk_of_token, each.phases, strict=True)
            if phase is Phase.STREAM
        ]
        thoughts += [streamed.count(chunk) for chunk in set(streamed)]
    count = len(encoded)
    deep = [each.phases.count(Phase.DEEP) for each in encoded]
    return Traced(
        episodes=count,
        capped=_share(sum(tokens > thought_cap for tokens in thoughts), len(thoughts)),
        clipped=_share(sum(tokens > deep_cap for tokens in deep), count),
        read=_share(sum(each.phases.count(Phase.READ) for each in encoded), count),
        streaming=_share(sum(thoughts), count),
        deep=_share(sum(deep), count),
    )


def _micro_batch_seconds(model: Any, rows: Sequence[list[int]], size: int) -> float:
    """One forward and backward pass of ``size`` rows under causal attention, the second of two."""
    import torch

    rows = [rows[place % len(rows)] for place in range(size)]
    width = max(map(len, rows))
    ids = torch.tensor([row + row[-1:] * (width - len(row)) for row in rows], device=model.device)
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
    return seconds


def _rollout_lines(found: Rolled, episodes: int) -> list[str]:
    return [
        f"rollouts: {found.rollouts} in {found.groups} groups; {found.accuracy:.0%} right, {found.answered:.0%} answered, "
        f"{found.clipped:.0%} clipped (ran out of tokens)",
        f"protocol: {found.protocol:.0%} of the thoughts ended in their marker or a skip, {found.capped:.0%} ran into the cap",
        f"signal: {found.signal:.0%} of the groups teach something, {found.all_right:.0%} are all right",
        f"answers: {found.parsed:.0%} of those given can be parsed; all {episodes} gold answers can",
        f"tokens: a mean rollout reads {found.read:.0f}, thinks {found.streaming:.0f} while it reads, and {found.deep:.0f} after",
    ]


def _marker_line(texts: Texts) -> str:
    from adasr_trl.core.protocol import ROLES

    costs = ", ".join(f"{role} {len(texts.codec.marker(role))}" for role in ROLES)
    return f"markers, in tokens of this tokenizer: {costs} (each is written or read at every chunk; 1 is cheapest)"


def _time_lines(pace: Pace, steps: int, a_step: float, micro_batches: int) -> list[str]:
    parts = [f"a micro-batch forward and back {pace.micro:.2f} s, {micro_batches} a step"]
    if pace.rollouts:
        speed = pace.rollout / pace.rollouts
        parts.insert(
            0,
            f"{pace.rollouts} rollouts {pace.rollout:.1f} s ({speed:.2f} s each, {a_step:g} a step)",
        )
    total = checks.hours(pace, steps, a_step, micro_batches)
    return [
        f"time: about {_duration(total)} for {steps} steps on one process like this one (measured here: {'; '.join(parts)}; "
        f"larger batches are faster a rollout, evaluations and checkpoints come on top)"
    ]


def _memory_lines(model: Any, cache_bytes: float) -> list[str]:
    import torch

    sizes = [(p.numel() * p.element_size(), p.requires_grad) for p in model.parameters()]
    weights = sum(size for size, _ in sizes)
    trained = sum(size for size, is_trained in sizes if is_trained)
    if model.device.type == "cuda":
        peak, of = torch.cuda.max_memory_allocated(), "the GPU"
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB on Linux
        of = "this process, libraries included,"
    return [
        f"memory: weights {_size(weights)}, gradients {_size(trained)}, AdamW's state {_size(2 * trained)}, cache of a step's "
        f"rollouts {_size(cache_bytes)} (from the sizes); {of} peaked at {_size(peak)} here, without AdamW's state"
    ]


def _size(count: float) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / 2**20:.0f} MiB"


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def _version_lines() -> list[str]:
    outside = [each for each in checks.versions(checks.own_requirements()) if not each[2]]
    if not outside:
        return ["versions: all within the ranges that were tested"]
    return [f"versions: {name} was tested, {version} is installed" for name, version, _ in outside]


def _steps(args: Any, rows: int, per_device: int) -> int:
    """Optimizer steps of the training."""
    if args.max_steps > 0:
        return int(args.max_steps)
    batch = per_device * int(args.gradient_accumulation_steps)
    return math.ceil(rows * float(args.num_train_epochs) / batch)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
