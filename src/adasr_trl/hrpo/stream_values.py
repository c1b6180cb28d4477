"""Values of streams for the rewards of ``rewards.stream_gain``, computed for a batch of rollouts before they are scored.

    >>> valuer = stream_valuer(trainer, rewards, generate, layout, codec)
    >>> valuer.values_of(rollouts, requests, sampling)[0]
    {BranchValue(continuations=4, every=1): (0.25, 0.75, 0.5)}

Cost, over a run without such rewards: ``gold_gain`` one packed forward of the stream and C + 1 short answers; ``branch_value``
``continuations`` rollouts from each cut. Both are measured in docs/METHOD.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.base import Generate
from adasr_trl.engines.request import stable_hash
from adasr_trl.hrpo.frozen_policy import AskedPolicy
from adasr_trl.hrpo.gold_answer import TokenLogps, gold_logps, plain_logps
from adasr_trl.layouts import Layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.rewards import Reward, answered_right
from adasr_trl.rewards.base import Rule
from adasr_trl.rewards.stream_gain import BranchValue, GoldGain

Values = tuple[float | None, ...]  # before the first thought and behind each begun one, (C + 1)


@dataclass(frozen=True)
class StreamValuer:
    """Values for the rules of a run that need them."""

    rules: tuple[GoldGain | BranchValue, ...]  # each once
    generate: Generate
    under: Callable[[str], AbstractContextManager[TokenLogps]]  # policy or reference
    layout: Layout
    codec: Codec

    def values_of(
        self, rollouts: Sequence[Rollout], requests: Sequence[Request], sampling: Sampling
    ) -> list[Mapping[Rule, Values]]:
        """The values of each rollout, by rule; every process must call it."""
        found: list[dict[Rule, Values]] = [{} for _ in rollouts]
        for rule in self.rules:
            columns: Sequence[Values]
            if isinstance(rule, GoldGain):
                episodes = [request.episode for request in requests]
                with self.under(rule.under) as token_logps:
                    columns = gold_logps(token_logps, rollouts, episodes, self.layout, self.codec)
            else:
                columns = branch_values(rollouts, requests, rule, self.generate, sampling)
            for of_rollout, values in zip(found, columns, strict=True):
                of_rollout[rule] = values
        return list(found)


def valued_rules(rewards: Sequence[Reward]) -> tuple[GoldGain | BranchValue, ...]:
    """The rules that need values of streams; equal ones, such as of two scopes, once."""
    rules = [reward.rule for reward in rewards]
    return tuple(dict.fromkeys(r for r in rules if isinstance(r, GoldGain | BranchValue)))


def stream_valuer(
    trainer: Any, rewards: Sequence[Reward], generate: Generate, layout: Layout, codec: Codec
) -> StreamValuer:
    """The valuer of a trainer's rewards."""
    rules = valued_rules(rewards)
    freezes = any(isinstance(rule, GoldGain) and rule.under == "reference" for rule in rules)
    asked = AskedPolicy(trainer, freezes=freezes)
    return StreamValuer(rules, generate, asked.under, layout, codec)


def plain_valuer(
    model: Any, rewards: Sequence[Reward], generate: Generate, layout: Layout, codec: Codec
) -> StreamValuer:
    """The valuer of rewards outside training, where policy and reference are one model."""
    under = partial(plain_logps, model)
    return StreamValuer(
        valued_rules(rewards), generate, lambda _: nullcontext(under), layout, codec
    )


def branch_values(
    rollouts: Sequence[Rollout],
    requests: Sequence[Request],
    rule: BranchValue,
    generate: Generate,
    sampling: Sampling,
) -> list[Values]:
    """The share of right answers among continuations from each cut, None elsewhere, (C + 1) a rollout.

    A cut is named by the thoughts before it, so equal beginnings of an episode (all of them before the first thought)
    are continued once. Its seeds are a function of that name: the same on every process.
    """
    cuts: list[dict[int, Request]] = []
    for rollout, request in zip(rollouts, requests, strict=True):
        counts = rule.cuts(len(rollout.thought_endings))
        cuts.append({count: _cut(rollout, request, count) for count in counts})
    distinct = list(dict.fromkeys(cut for of_rollout in cuts for cut in of_rollout.values()))
    # Engines share what continuations of one cut begin with.
    continued = generate(
        [_continuation(cut, n) for cut in distinct for n in range(rule.continuations)], sampling
    )
    right = [
        answered_right(rollout, distinct[n // rule.continuations].episode)
        for n, rollout in enumerate(continued)
    ]
    share = {
        cut: fmean(right[n * rule.continuations : (n + 1) * rule.continuations])
        for n, cut in enumerate(distinct)
    }
    return [
        tuple(
            share[of_rollout[count]] if count in of_rollout else None
            for count in range(len(rollout.thought_endings) + 1)
        )
        for rollout, of_rollout in zip(rollouts, cuts, strict=True)
    ]


def _cut(rollout: Rollout, request: Request, count: int) -> Request:
    """The stream up to its first ``count`` thoughts, without a seed yet."""
    tokens = zip(rollout.token_ids, rollout.phases, rollout.chunk_of_token, strict=True)
    written = tuple(
        token_id for token_id, phase, chunk in tokens if phase is Phase.STREAM and chunk < count
    )
    return Request(request.episode, 0, request.mode, written)


def _continuation(cut: Request, n: int) -> Request:
    """The n-th continuation, with a seed of its own."""
    seed = stable_hash(f"{cut.episode.id}/{cut.written}/{n}")
    return Request(cut.episode, seed, cut.mode, cut.written)
