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


@dataclass(frozen=True)
class RolloutShares:
    """A few rollouts of an RL run: counts, shares, and mean tokens of a rollout."""

    rollouts: int
    groups: int
    formatted: float  # thoughts that end in their marker or as a skip
    capped: float  # thoughts cut off at max_thought_tokens
    answered: float  # rollouts that end with an answer
    clipped: float  # rollouts out of tokens
    accuracy: float  # rollouts with the right answer
    parsed: float  # answers that can be compared with the gold one
    signal: float  # groups with a learning signal
    all_right: float  # groups without a wrong answer
    read_tokens: float
    streaming_tokens: float
    deep_tokens: float


@dataclass(frozen=True)
class TraceShares:
    """Teacher's traces of an SFT run: their number, shares, and mean tokens of a trace."""

    episodes: int
    capped: float  # thoughts beyond max_thought_tokens
    clipped: float  # deep parts beyond max_deep_tokens
    read_tokens: float
    streaming_tokens: float
    deep_tokens: float


@dataclass(frozen=True)
class Work:
    """A part of an optimizer step: the measured seconds of one, and their number in a step."""

    name: str
    seconds: float
    per_step: float


def hours(steps: int, works: Sequence[Work]) -> float:
    """Hours of a training, without evaluations and checkpoints."""
    return steps * sum(work.seconds * work.per_step for work in works) / 3600


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


def time_line(steps: int, works: Sequence[Work]) -> str:
    """The run's duration, and the measurements behind it."""
    total = hours(steps, works)
    duration = f"{total:.1f} hours" if total >= 1 else f"{total * 60:.1f} minutes"
    parts = "; ".join(f"{w.name} {w.seconds:.2f} s, {w.per_step:g} a step" for w in works)
    return (
        f"time: about {duration} for {steps} steps on one process like this one (measured: {parts}; larger batches take "
        f"less a rollout; evaluations and checkpoints not counted)"
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
