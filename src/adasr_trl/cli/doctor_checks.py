"""Verdicts and messages of ``adasr doctor``, from numbers alone.

    >>> rollout_faults({"streaming/malformed": 1.0, ...})
    ['only 0% of the thoughts follow the format: ...']

``shares`` are means over a few rollouts or traces, named as in ``metrics.jsonl``; ``doctor`` measures them. The bounds are
our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

PACKAGE = "adasr-trl"
MAX_CLIPPED = 0.95  # shares beyond which nothing is left to learn from, or to be taught
MAX_CAPPED = 0.5
MIN_FORMATTED = 0.05  # a random model gets a few by chance
Shares = Mapping[str, float]


@dataclass(frozen=True)
class Work:
    """A part of an optimizer step: the measured seconds of one, and their number in a step."""

    name: str
    seconds: float
    per_step: float


def hours(steps: int, works: Sequence[Work]) -> float:
    """Hours of a training, without evaluations and checkpoints."""
    return steps * sum(work.seconds * work.per_step for work in works) / 3600


def formatted(shares: Shares) -> float:
    """Share of thoughts that end in their marker or as a skip; 1 without thoughts."""
    return 1.0 - shares.get("streaming/capped", 0.0) - shares.get("streaming/malformed", 0.0)


def rollout_faults(shares: Shares) -> list[str]:
    """Reasons why an RL run cannot learn, each with its remedy."""
    faults = []
    if formatted(shares) < MIN_FORMATTED:
        faults.append(
            f"only {formatted(shares):.0%} of the thoughts follow the format: train with adasr sft first (or longer), "
            f"and give this run the same streaming.markers and instruction"
        )
    if shares["ending/out_of_tokens"] >= MAX_CLIPPED:
        faults.append(
            f"{shares['ending/out_of_tokens']:.0%} of the rollouts ran out of tokens before their answer, and those earn "
            f"nothing: raise streaming.max_deep_tokens, or train longer with adasr sft"
        )
    if shares["ending/answered"] > 0.0 and shares["answers/parsed"] == 0.0:
        faults.append(
            "no answer could be parsed, so every one counts as wrong: check answer_type in the data, and the text behind "
            "reasoning_end in the traces of adasr sft"
        )
    if shares["groups/no_signal"] == 1.0 and shares["groups/all_right"] == 1.0:
        faults.append(
            "every answer is right and nothing else varies, so there is nothing to learn: use harder episodes, or rewards "
            "of length"
        )
    elif shares["groups/no_signal"] == 1.0:
        faults.append(
            f"no group has a learning signal ({shares['accuracy']:.0%} of the answers are right): train longer with adasr "
            f"sft, use easier episodes, or raise num_generations or temperature, so that groups have right and wrong answers; "
            f"docs/OWN_DATA.md teaches a set of answers alone"
        )
    return faults


def trace_faults(shares: Shares) -> list[str]:
    """Reasons why the caps forbid to learn the traces, each with its remedy."""
    faults = []
    if shares["streaming/capped"] > MAX_CAPPED:
        faults.append(
            f"{shares['streaming/capped']:.0%} of the traces' thoughts are longer than streaming.max_thought_tokens and "
            f"would be cut off in every rollout: raise it, or choose markers of fewer tokens"
        )
    if shares["deep/capped"] > MAX_CAPPED:
        faults.append(
            f"{shares['deep/capped']:.0%} of the traces' deep parts are longer than streaming.max_deep_tokens: raise it"
        )
    return faults


def rollout_lines(shares: Shares, rollouts: int, groups: int, episodes: int) -> list[str]:
    """The rollouts in words; the gold answers of all ``episodes`` were parsed before."""
    return [
        f"rollouts: {rollouts} in {groups} groups; {shares['accuracy']:.0%} right, {shares['ending/answered']:.0%} answered, "
        f"{shares['ending/out_of_tokens']:.0%} clipped (out of tokens)",
        f"format: {formatted(shares):.0%} of the thoughts end in their marker or a skip, "
        f"{shares.get('streaming/capped', 0.0):.0%} ran into the cap",
        f"signal: {1.0 - shares['groups/no_signal']:.0%} of the groups have one, {shares['groups/all_right']:.0%} are all right",
        f"answers: {shares['answers/parsed']:.0%} of the model's can be parsed; all {episodes} gold answers can",
        f"length: mean rollout {_tokens(shares)}",
    ]


def trace_lines(shares: Shares, traces: int, episodes: int) -> list[str]:
    """The traces in words; the gold answers of all ``episodes`` were parsed before."""
    return [
        f"traces: {traces} examined; mean trace {_tokens(shares)}; all {episodes} gold answers can be parsed",
        f"over the caps: {shares['streaming/capped']:.1%} of the thoughts, {shares['deep/capped']:.1%} of the deep parts",
    ]


def _tokens(shares: Shares) -> str:
    return (
        f"{shares['read/tokens']:.0f} tokens of input, {shares['streaming/tokens']:.0f} of thoughts, "
        f"{shares['deep/tokens']:.0f} of the deep part"
    )


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

    rows = []
    for text in requirements:
        wanted = Requirement(text)
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
        inside = wanted.specifier.contains(version, prereleases=True)
        rows.append((f"{wanted.name}{wanted.specifier}", version, inside))
    return rows


def own_requirements() -> list[str]:
    """Requirements of this package, its gpu extra included; none where it runs from a bare source tree."""
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [
        text for text in wanted if "extra" not in text or 'extra == "gpu"' in text.replace("'", '"')
    ]
