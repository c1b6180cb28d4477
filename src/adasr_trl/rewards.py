"""Rewards: each measures one rollout alone, has a scope, and is summed with its weight within that scope.

    rewards:
      - {name: accuracy, scope: global}
      - {name: format, scope: streaming, weight: 0.25}
      - {name: adaptive_thinking, scope: deep, settings: {cost: latency}}

The paper names three: format, accuracy, adaptive thinking; their formulas are ours. A measure returns None where it
cannot score. What is relative to the group (``Kind.ADAPTIVE``) is shaped in ``advantages`` after TRL has gathered the
measures over all processes, because a group may be split over them. Registered names are in ``BUILT_IN``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from adasr_trl.answers import is_right
from adasr_trl.clock import Clock, arrivals, timeline
from adasr_trl.config_sections import RewardConfig
from adasr_trl.episode import Episode
from adasr_trl.protocol import Ending, Phase
from adasr_trl.rollout import Rollout

Setting = float | int | str | bool


class Scope(Enum):
    """The tokens that a reward is for: the thoughts, the deep part, or all that the model wrote."""

    STREAMING = "streaming"
    DEEP = "deep"
    GLOBAL = "global"


class Kind(Enum):
    """Whether a measure is the reward itself, or a cost for ``advantages.adaptive_thinking``."""

    PLAIN = "plain"
    ADAPTIVE = "adaptive"


Measure = Callable[[Rollout, Episode], float | None]


@dataclass(frozen=True)
class Reward:
    """One reward as a run uses it."""

    name: str
    scope: Scope
    weight: float
    kind: Kind
    measure: Measure
    strength: float = 1.0


def answered_right(rollout: Rollout, episode: Episode) -> bool:
    """Whether the rollout delivered the right answer; one that is not ANSWERED delivered none (ours)."""
    return rollout.ending is Ending.ANSWERED and is_right(
        rollout.answer, episode.answer, episode.answer_type
    )


def build_rewards(configs: Sequence[RewardConfig], clock: Clock) -> tuple[Reward, ...]:
    """The rewards of a config, checked.

    Raises:
        ValueError: An unknown name, a scope that does not fit, an unknown or bad setting, no weight above 0.
    """
    rewards = tuple(_build(config, clock) for config in configs)
    if not any(reward.weight != 0 for reward in rewards):
        raise ValueError("rewards: every weight is 0 (or there is no reward); give one a weight.")
    labels = [(reward.name, reward.scope) for reward in rewards]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(
                f"rewards: {label[0]} of scope {label[1].value} is listed twice; add the weights."
            )
    return rewards


def _build(config: RewardConfig, clock: Clock) -> Reward:
    if config.name not in BUILT_IN:
        raise ValueError(
            f"rewards: unknown reward {config.name!r}; known are {', '.join(BUILT_IN)}."
        )
    scope = Scope(config.scope)
    maker, scopes = BUILT_IN[config.name]
    if scope not in scopes:
        fitting = " or ".join(sorted(each.value for each in scopes))
        raise ValueError(f"rewards: {config.name} has scope {fitting}, not {scope.value}.")
    if config.weight < 0:
        raise ValueError(f"rewards: {config.name} has weight {config.weight}; expected 0 or more.")
    return maker(scope, config.weight, dict(config.settings), clock)


def _accuracy(scope: Scope, weight: float, settings: dict[str, Setting], clock: Clock) -> Reward:
    """1 for the right final answer, else 0."""
    del clock
    _refuse_rest("accuracy", settings)
    return Reward("accuracy", scope, weight, Kind.PLAIN, lambda r, e: float(answered_right(r, e)))


def _format(scope: Scope, weight: float, settings: dict[str, Setting], clock: Clock) -> Reward:
    """1 if the protocol was kept in the scope, else 0.

    Streaming: every thought ended by itself, with its marker or as a skip. Deep: the rollout is ANSWERED. Keep the
    weight below 1/2, so that form never outweighs a right answer.
    """
    del clock
    _refuse_rest("format", settings)
    measure = _streaming_format if scope is Scope.STREAMING else _deep_format
    return Reward("format", scope, weight, Kind.PLAIN, measure)


def _adaptive(scope: Scope, weight: float, settings: dict[str, Setting], clock: Clock) -> Reward:
    """The cost that ``advantages.adaptive_thinking`` compares within the group.

    Settings: ``strength`` (default 1); ``cost`` of the deep scope: ``tokens`` (up to the answer's value, default) or
    ``latency`` (the clock's seconds to the answer, with the backlog of the thoughts). The streaming cost is the mean
    number of tokens of a thought over all chunks, skips included.
    """
    strength = settings.pop("strength", 1.0)
    cost = settings.pop("cost", "tokens")
    _refuse_rest("adaptive_thinking", settings)
    if isinstance(strength, (str, bool)) or strength < 0:
        raise ValueError(
            f"rewards: adaptive_thinking: strength is {strength!r}; expected 0 or more."
        )
    measures: Mapping[tuple[Scope, Setting], Measure] = {
        (Scope.STREAMING, "tokens"): _streaming_tokens,
        (Scope.DEEP, "tokens"): lambda rollout, _: float(rollout.answer_tokens),
        (Scope.DEEP, "latency"): lambda r, e: (
            timeline(r, arrivals(e, clock), clock).to_answer_seconds
        ),
    }
    if (scope, cost) not in measures:
        raise ValueError(
            f"rewards: adaptive_thinking: cost {cost!r} of scope {scope.value}; expected tokens, or latency "
            f"for scope deep."
        )
    return Reward(
        "adaptive_thinking", scope, weight, Kind.ADAPTIVE, measures[scope, cost], float(strength)
    )


def _streaming_format(rollout: Rollout, _episode: Episode) -> float | None:
    if not rollout.thought_endings:
        return None
    kept = (Ending.THOUGHT, Ending.SKIP)
    return float(all(ending in kept for ending in rollout.thought_endings))


def _deep_format(rollout: Rollout, _episode: Episode) -> float:
    return float(rollout.ending is Ending.ANSWERED)


def _streaming_tokens(rollout: Rollout, episode: Episode) -> float | None:
    if not rollout.thought_endings:
        return None
    return rollout.tokens_in(Phase.STREAM) / len(episode.chunks)


def _refuse_rest(name: str, settings: dict[str, Setting]) -> None:
    if settings:
        raise ValueError(f"rewards: {name} has no setting {next(iter(settings))!r}.")


Maker = Callable[[Scope, float, dict[str, Setting], Clock], Reward]

BUILT_IN: Mapping[str, tuple[Maker, frozenset[Scope]]] = {
    "accuracy": (_accuracy, frozenset({Scope.GLOBAL})),
    "format": (_format, frozenset({Scope.STREAMING, Scope.DEEP})),
    "adaptive_thinking": (_adaptive, frozenset({Scope.STREAMING, Scope.DEEP})),
}
