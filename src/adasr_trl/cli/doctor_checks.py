"""Whether a run can learn, decided from numbers alone: what a few rollouts, or a teacher's traces, look like.

    >>> rollouts_faults(Rolled(rollouts=32, protocol=0.0, ...))
    ['only 0% of the thoughts end as the protocol asks: ...']

Pure functions; ``doctor`` measures, and puts the lines on the screen. The bounds are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

PACKAGE = "adasr-trl"
MOST_CLIPPED = 0.95  # shares from which on nothing is left to learn from, or to be taught
MOST_CAPPED = 0.5
LEAST_PROTOCOL = 0.05  # a random model gets a few by chance


@dataclass(frozen=True)
class Rolled:
    """Shares over a few rollouts; tokens are means.

    Attributes:
        rollouts: How many.
        groups: Groups they form.
        protocol: Thoughts that ended in their marker or as a skip.
        capped: Thoughts that ran into max_thought_tokens.
        answered: Rollouts that ended with an answer.
        clipped: Rollouts that ran out of tokens.
        accuracy: Rollouts with the right answer.
        parsed: Answered rollouts whose answer can be compared with the gold one.
        signal: Groups that teach something.
        all_right: Groups without a wrong answer.
        read: Tokens given to the model.
        streaming: Tokens of all thoughts.
        deep: Tokens of the deep part.
    """

    rollouts: int
    groups: int
    protocol: float
    capped: float
    answered: float
    clipped: float
    accuracy: float
    parsed: float
    signal: float
    all_right: float
    read: float
    streaming: float
    deep: float


@dataclass(frozen=True)
class Traced:
    """What the teacher's traces look like under the caps: episodes, thoughts over the cap, deep parts over it; mean tokens."""

    episodes: int
    capped: float
    clipped: float
    read: float
    streaming: float
    deep: float


def rollouts_faults(found: Rolled) -> list[str]:
    """Why a run from here cannot learn, each with what to change; none if it can."""
    faults = []
    if found.protocol < LEAST_PROTOCOL:
        faults.append(
            f"only {found.protocol:.0%} of the thoughts end as the protocol asks: train with adasr sft first (or longer), "
            f"and give this run the same streaming.markers and instruction"
        )
    if found.clipped >= MOST_CLIPPED:
        faults.append(
            f"{found.clipped:.0%} of the rollouts ran out of tokens before their answer, and those earn nothing: raise "
            f"streaming.max_deep_tokens, or train longer with adasr sft"
        )
    if found.answered > 0.0 and found.parsed == 0.0:
        faults.append(
            "no answer could be parsed, so every one counts as wrong: check answer_type in the data, and what adasr sft "
            "was taught to write behind reasoning_end"
        )
    if found.signal == 0.0:
        faults.append(_no_signal(found))
    return faults


def _no_signal(found: Rolled) -> str:
    if found.all_right == 1.0:
        return (
            "every answer is right and nothing else varies: there is nothing to learn here; use harder episodes, or "
            "rewards of length"
        )
    return (
        f"no group teaches anything ({found.accuracy:.0%} of the answers are right): train longer with adasr sft, use "
        f"easier episodes, or raise num_generations or temperature, so that groups have right and wrong answers"
    )


def traces_faults(found: Traced) -> list[str]:
    """Why traces cannot be taught under these caps."""
    faults = []
    if found.capped > MOST_CAPPED:
        faults.append(
            f"{found.capped:.0%} of the traces' thoughts are longer than streaming.max_thought_tokens, so what is taught "
            f"would be cut off in every rollout: raise it, or choose markers that cost fewer tokens"
        )
    if found.clipped > MOST_CAPPED:
        faults.append(
            f"{found.clipped:.0%} of the traces' deep parts are longer than streaming.max_deep_tokens: raise it"
        )
    return faults


@dataclass(frozen=True)
class Pace:
    """What was measured of a run's steps, in seconds; ``rollout`` of so many ``rollouts``, ``micro`` of one micro-batch."""

    rollout: float
    rollouts: int
    micro: float


def hours(pace: Pace, steps: int, rollouts_a_step: float, micro_batches: int) -> float:
    """Of the whole training, if every step takes what was measured; evaluations and checkpoints not counted."""
    writing = pace.rollout / pace.rollouts * rollouts_a_step if pace.rollouts else 0.0
    return steps * (writing + pace.micro * micro_batches) / 3600


def versions(requirements: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Each installed requirement as (name with its range, version, whether it is within the range that was tested)."""
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
    """What this package asks for, its gpu extra included; nothing where it runs from a bare source tree."""
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [
        text for text in wanted if "extra" not in text or 'extra == "gpu"' in text.replace("'", '"')
    ]
