"""Verdicts and messages of ``adasr doctor``, from numbers alone.

    >>> rollout_faults(RolloutShares(rollouts=32, formatted=0.0, ...))
    ['only 0% of the thoughts follow the format: ...']

Pure functions; ``doctor`` measures. The bounds are our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

PACKAGE = "adasr-trl"
MAX_CLIPPED = 0.95  # shares beyond which nothing is left to learn from, or to be taught
MAX_CAPPED = 0.5
MIN_FORMATTED = 0.05  # a random model gets a few by chance
_MIB, _GIB = 2**20, 2**30


@dataclass(frozen=True)
class RolloutShares:
    """Shares over a few rollouts, and mean tokens of a rollout.

    Attributes:
        rollouts: Number of rollouts.
        groups: Number of groups.
        formatted: Thoughts that end in their marker or as a skip.
        capped: Thoughts cut off at max_thought_tokens.
        answered: Rollouts that end with an answer.
        clipped: Rollouts out of tokens.
        accuracy: Rollouts with the right answer.
        parsed: Answers that can be compared with the gold one.
        signal: Groups with a learning signal.
        all_right: Groups without a wrong answer.
        read_tokens: Tokens given to the model.
        streaming_tokens: Tokens of all thoughts.
        deep_tokens: Tokens of the deep part.
    """

    rollouts: int
    groups: int
    formatted: float
    capped: float
    answered: float
    clipped: float
    accuracy: float
    parsed: float
    signal: float
    all_right: float
    read_tokens: float
    streaming_tokens: float
    deep_tokens: float


@dataclass(frozen=True)
class TraceShares:
    """Teacher's traces under the caps.

    Attributes:
        episodes: Number of traces.
        capped: Share of thoughts beyond max_thought_tokens.
        clipped: Share of deep parts beyond max_deep_tokens.
        read_tokens: Mean tokens given to the model.
        streaming_tokens: Mean tokens of all thoughts.
        deep_tokens: Mean tokens of the deep part.
    """

    episodes: int
    capped: float
    clipped: float
    read_tokens: float
    streaming_tokens: float
    deep_tokens: float


@dataclass(frozen=True)
class StepTime:
    """Work and time of an optimizer step.

    Attributes:
        steps: Optimizer steps of the run.
        micro_batches: Micro-batches of a step.
        micro_batch_seconds: Forward and backward pass of one.
        rollouts: Rollouts of a step; 0 in SFT.
        rollout_seconds: Time of one.
        measured_rollouts: Number of rollouts behind that time.
    """

    steps: int
    micro_batches: int
    micro_batch_seconds: float
    rollouts: float = 0.0
    rollout_seconds: float = 0.0
    measured_rollouts: int = 0

    @property
    def hours(self) -> float:
        """Hours of the whole training, without evaluations and checkpoints."""
        step = self.rollout_seconds * self.rollouts + self.micro_batch_seconds * self.micro_batches
        return self.steps * step / 3600


@dataclass(frozen=True)
class Memory:
    """Bytes of weights, trained weights and a step's KV cache, and the peak measured on ``device``."""

    weights: int
    trained: int
    cache: float
    peak: int
    device: str


def rollout_faults(shares: RolloutShares) -> list[str]:
    """Reasons why an RL run cannot learn, each with its remedy."""
    faults = []
    if shares.formatted < MIN_FORMATTED:
        faults.append(
            f"only {shares.formatted:.0%} of the thoughts follow the format: train with adasr sft first (or longer), "
            f"and give this run the same streaming.markers and instruction"
        )
    if shares.clipped >= MAX_CLIPPED:
        faults.append(
            f"{shares.clipped:.0%} of the rollouts ran out of tokens before their answer, and those earn nothing: raise "
            f"streaming.max_deep_tokens, or train longer with adasr sft"
        )
    if shares.answered > 0.0 and shares.parsed == 0.0:
        faults.append(
            "no answer could be parsed, so every one counts as wrong: check answer_type in the data, and the text behind "
            "reasoning_end in the traces of adasr sft"
        )
    if shares.signal == 0.0 and shares.all_right == 1.0:
        faults.append(
            "every answer is right and nothing else varies, so there is nothing to learn: use harder episodes, or rewards "
            "of length"
        )
    elif shares.signal == 0.0:
        faults.append(
            f"no group has a learning signal ({shares.accuracy:.0%} of the answers are right): train longer with adasr sft, "
            f"use easier episodes, or raise num_generations or temperature, so that groups have right and wrong answers"
        )
    return faults


def trace_faults(shares: TraceShares) -> list[str]:
    """Reasons why the caps forbid to learn the traces, each with its remedy."""
    faults = []
    if shares.capped > MAX_CAPPED:
        faults.append(
            f"{shares.capped:.0%} of the traces' thoughts are longer than streaming.max_thought_tokens and would be cut off "
            f"in every rollout: raise it, or choose markers of fewer tokens"
        )
    if shares.clipped > MAX_CAPPED:
        faults.append(
            f"{shares.clipped:.0%} of the traces' deep parts are longer than streaming.max_deep_tokens: raise it"
        )
    return faults


def rollout_lines(shares: RolloutShares, episodes: int) -> list[str]:
    """The rollouts in words; the gold answers of all ``episodes`` were parsed before."""
    return [
        f"rollouts: {shares.rollouts} in {shares.groups} groups; {shares.accuracy:.0%} right, {shares.answered:.0%} "
        f"answered, {shares.clipped:.0%} clipped (out of tokens)",
        f"format: {shares.formatted:.0%} of the thoughts end in their marker or a skip, {shares.capped:.0%} ran into the cap",
        f"signal: {shares.signal:.0%} of the groups have one, {shares.all_right:.0%} are all right",
        f"answers: {shares.parsed:.0%} of the model's can be parsed; all {episodes} gold answers can",
        f"tokens: mean rollout {shares.read_tokens:.0f} read, {shares.streaming_tokens:.0f} of thoughts, "
        f"{shares.deep_tokens:.0f} of the deep part",
    ]


def trace_lines(shares: TraceShares, episodes: int) -> list[str]:
    """The traces in words; the gold answers of all ``episodes`` were parsed before."""
    return [
        f"traces: {shares.episodes} examined; mean trace {shares.read_tokens:.0f} tokens of input, "
        f"{shares.streaming_tokens:.0f} of thoughts, {shares.deep_tokens:.0f} of the deep part; all {episodes} gold "
        f"answers can be parsed",
        f"over the caps: {shares.capped:.1%} of the thoughts, {shares.clipped:.1%} of the deep parts",
    ]


def time_line(pace: StepTime) -> str:
    """The run's duration, and the measurements behind it."""
    parts = []
    if pace.measured_rollouts:
        total = pace.rollout_seconds * pace.measured_rollouts
        parts.append(
            f"{pace.measured_rollouts} rollouts {total:.1f} s ({pace.rollout_seconds:.2f} s each, {pace.rollouts:g} a step)"
        )
    parts.append(f"micro-batch {pace.micro_batch_seconds:.2f} s, {pace.micro_batches} a step")
    duration = f"{pace.hours:.1f} hours" if pace.hours >= 1 else f"{pace.hours * 60:.1f} minutes"
    return (
        f"time: about {duration} for {pace.steps} steps on one process like this one (measured: {'; '.join(parts)}; larger "
        f"batches take less a rollout; evaluations and checkpoints not counted)"
    )


def memory_line(memory: Memory) -> str:
    """The sizes of a training's parts, and the measured peak."""
    return (
        f"memory: weights {_size(memory.weights)}, gradients {_size(memory.trained)}, AdamW's state "
        f"{_size(2 * memory.trained)}, cache of a step's rollouts {_size(memory.cache)} (from the sizes); {memory.device} "
        f"peaked at {_size(memory.peak)} here, without AdamW's state"
    )


def version_lines() -> list[str]:
    """Installed packages outside the tested ranges."""
    outside = [name for *name, inside in versions(own_requirements()) if not inside]
    if not outside:
        return ["versions: all within the tested ranges"]
    return [f"versions: {tested} was tested, {version} is installed" for tested, version in outside]


def versions(requirements: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Each installed requirement as (name with its range, version, whether it lies within the range)."""
    from packaging.requirements import Requirement

    found = []
    for text in requirements:
        wanted = Requirement(text)
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
        inside = wanted.specifier.contains(version, prereleases=True)
        found.append((f"{wanted.name}{wanted.specifier}", version, inside))
    return found


def own_requirements() -> list[str]:
    """Requirements of this package, its gpu extra included; none where it runs from a bare source tree."""
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [
        text for text in wanted if "extra" not in text or 'extra == "gpu"' in text.replace("'", '"')
    ]


def _size(count: float) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"
