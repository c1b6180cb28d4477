"""Share of tokens whose advantage has the wrong sign for their phase, by asking the model how rollouts would have ended.

    python -m benchmarks.credit runs/tiny-ablate/seed-0/sft --config configs/tiny/hrpo.yaml   # about 4 minutes on one core

Settings over the configuration's follow it (``--rewards '[...]' --data.train FILE``). With ``--each`` every local reward is
judged on its own beside the global ones: GRPO on their sum against HRPO, paired by group.

For groups of G rollouts of one episode, the deep part is written K times more behind each rollout's stream. V, the value of
the stream, is the share of them that comes out right. A stream deserves V minus the mean V of its group, and a deep part
1[right] - V (after SPO's values at cut points, arXiv 2505.23564). An advantage is wrong for a phase where its sign is the
opposite. Only rollouts whose phase is better or worse by a quarter at least are judged. The rewards are the configuration's;
both forms get the same rollouts.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from adasr_trl.cli.prepare import RL_SECTIONS
from adasr_trl.config.loading import LoadedConfig, load_config, parse_trl
from adasr_trl.config.sections import ModelConfig
from adasr_trl.core.episode import Episode, read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.engines import HFEngine, Request, Sampling
from adasr_trl.engines.registry import local_engine
from adasr_trl.evaluation.intervals import wilson_interval
from adasr_trl.hrpo import HRPOConfig
from adasr_trl.hrpo.advantages import (
    AdvantageSettings,
    Granularity,
    Tokens,
    hierarchical,
    relative,
)
from adasr_trl.hrpo.scoring import scopes_of, score, score_rollouts
from adasr_trl.hrpo.stream_values import StreamValuer, plain_valuer
from adasr_trl.models.loading import load_policy
from adasr_trl.rewards import Reward, Scope, answered_right, build_rewards
from benchmarks import parts

CLEAR = 0.25  # of the answers, by which a phase must be better or worse than its group


def worth_of_streams(
    engine: HFEngine, rollouts: Sequence[Rollout], episodes: Sequence[Episode], branches: int
) -> Tensor:
    """The share of right answers behind each rollout's stream, (B); other random numbers than ``branch_value``'s."""
    streams = [
        tuple(t for t, phase in zip(r.token_ids, r.phases, strict=True) if phase is Phase.STREAM)
        for r in rollouts
    ]
    requests = [
        Request(episode, row * branches + k, written=stream)
        for row, (episode, stream) in enumerate(zip(episodes, streams, strict=True))
        for k in range(branches)
    ]
    found = engine.rollout(requests, Sampling(1.0))
    pairs = zip(found, requests, strict=True)
    right = [float(answered_right(rollout, request.episode)) for rollout, request in pairs]
    return torch.tensor(right).view(-1, branches).mean(dim=1)


def settings_of(loaded: LoadedConfig, group_size: int) -> AdvantageSettings:
    """The configuration's advantages, of groups of another size; a ConfigError for finer ones than a phase's."""
    settings = parse_trl(loaded, HRPOConfig).settings(group_size, 0.0)
    if settings.granularity is not Granularity.STAGE:
        raise loaded.error(
            "granularity",
            f"got {settings.granularity.value}; a phase is judged as a whole here: use stage.",
        )
    return settings


def advantages_of(
    rollouts: Sequence[Rollout],
    requests: Sequence[Request],
    rewards: Sequence[Reward],
    settings: AdvantageSettings,
    valuer: StreamValuer,
) -> dict[str, Tensor]:
    """Each form's advantage of the streaming and of the deep tokens of every rollout, (B, 2); each local reward's alone."""
    values = valuer.values_of(rollouts, requests, Sampling(1.0))
    rows = score_rollouts(rollouts, [request.episode for request in requests], rewards, values)
    scores = score(rows, rewards, Accelerator(cpu=True), settings, 0.0)
    flat = scopes_of(scores, rewards, settings, flat=True)
    scopes = scopes_of(scores, rewards, settings)
    phases = torch.tensor([[Phase.STREAM, Phase.DEEP]]).expand(len(rollouts), 2)
    tokens = Tokens(phases, torch.zeros_like(phases), torch.zeros_like(phases, dtype=torch.bool))
    alone: dict[str, Tensor] = {}
    for reward, reward_B in zip(rewards, scores.rewards_BR.unbind(dim=1), strict=True):
        if reward.scope is not Scope.GLOBAL:
            own_B1 = relative(reward_B.unsqueeze(1), settings)
            of_phase_2 = torch.tensor([reward.scope is Scope.STREAMING, reward.scope is Scope.DEEP])
            name, own_B2 = f"{reward.name} alone", torch.where(of_phase_2, own_B1, 0.0)
            alone[name] = alone.get(name, torch.zeros_like(own_B2)) + own_B2
    return {
        "flat, all rewards": relative(flat.global_B.unsqueeze(1), settings).expand(-1, 2),
        "flat, accuracy only": relative(scopes.global_B.unsqueeze(1), settings).expand(-1, 2),
        "HRPO, stage": hierarchical(scopes, tokens, settings),
        **alone,
    }


def lines_of(
    deserved_B2: Tensor, tokens_B2: Tensor, found: dict[str, Tensor], group_size: int
) -> list[list[str]]:
    """A row of the table for each phase and form."""
    lines = []
    for column, phase in enumerate(("streaming", "deep")):
        clear_B = deserved_B2[:, column].abs() >= CLEAR
        weights_B = tokens_B2[:, column].float() * clear_B
        share = weights_B.sum() / tokens_B2[:, column].sum()
        for name, advantages_B2 in found.items():
            if not advantages_B2[:, column].any():
                continue  # a reward of the other phase
            wrong_B = (advantages_B2[:, column] * deserved_B2[:, column]) < 0
            per_N = (weights_B * wrong_B).view(-1, group_size).sum(dim=1)
            of_N = weights_B.view(-1, group_size).sum(dim=1)
            lines.append([phase, name, f"{share:.2f}", spread(per_N, of_N)])
    return lines


def lines_of_each(
    deserved_B2: Tensor,
    tokens_B2: Tensor,
    found: Mapping[str, dict[str, Tensor]],
    group_size: int,
) -> list[list[str]]:
    """A row for each reward and each phase that it judges: the wrong signs of GRPO, of HRPO, and the difference."""
    lines = []
    for column, phase in enumerate(("streaming", "deep")):
        clear_B = deserved_B2[:, column].abs() >= CLEAR
        weights_B = tokens_B2[:, column].float() * clear_B
        of_N = weights_B.view(-1, group_size).sum(dim=1)
        for name, forms in found.items():
            if not forms[f"{name} alone"][:, column].any():
                continue
            grpo_N, hrpo_N = (
                (weights_B * (forms[form][:, column] * deserved_B2[:, column] < 0))
                .view(-1, group_size)
                .sum(dim=1)
                for form in ("flat, all rewards", "HRPO, stage")
            )
            shares = (spread(grpo_N, of_N), spread(hrpo_N, of_N))
            lines.append([phase, name, *shares, difference(grpo_N, hrpo_N, of_N)])
    return lines


def difference(first_N: Tensor, second_N: Tensor, judged_N: Tensor) -> str:
    """The second share minus the first with its 95 % interval, the same groups drawn anew for both."""
    if not judged_N.any():
        return "-"
    drawn = _drawn(len(judged_N))
    of_groups = (second_N - first_N)[drawn].sum(dim=1) / judged_N[drawn].sum(dim=1)
    low, high = torch.nanquantile(of_groups, torch.tensor([0.025, 0.975])).tolist()
    share = float((second_N - first_N).sum() / judged_N.sum())
    return f"{share:+.3f} ({low:+.3f} to {high:+.3f})"


def _drawn(groups: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(groups, (2000, groups), generator=generator)


def spread(wrong_N: Tensor, judged_N: Tensor) -> str:
    """The share over all groups with its 95 % interval, groups drawn anew; of none or all Wilson's, of the judged groups."""
    judged = int((judged_N > 0).sum())
    if not judged:
        return "-"
    share = float(wrong_N.sum() / judged_N.sum())
    if share in (0.0, 1.0):
        low, high = wilson_interval(round(share * judged), judged)
        return f"{share:.3f} ({low:.3f} to {high:.3f})"
    drawn = _drawn(len(wrong_N))
    shares = wrong_N[drawn].sum(dim=1) / judged_N[drawn].sum(dim=1)
    low, high = torch.nanquantile(shares, torch.tensor([0.025, 0.975])).tolist()
    return f"{share:.3f} ({low:.3f} to {high:.3f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a finished run")
    parser.add_argument("--config", required=True, help="whose rewards and settings count")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--branches", type=int, default=8)
    parser.add_argument("--each", action="store_true", help="each local reward on its own")
    options, overrides = parser.parse_known_args(arguments)
    for name, least in (("episodes", 1), ("group", 2), ("branches", 1)):
        if vars(options)[name] < least:
            parser.error(f"--{name}: got {vars(options)[name]}; expected {least} or more")
    torch.set_num_threads(1)
    loaded = load_config(options.config, overrides, RL_SECTIONS)
    loaded.refuse_unknown(field.name for field in dataclasses.fields(HRPOConfig))
    settings = settings_of(loaded, options.group)
    policy = load_policy(ModelConfig(path=str(options.run)))
    engine = local_engine(policy)
    training = itertools.islice(read_episodes(loaded.section("data").train), options.episodes)
    episodes = [episode for episode in training for _ in range(options.group)]
    requests = [Request(episode, seed) for seed, episode in enumerate(episodes)]
    rollouts = engine.rollout(requests, Sampling(1.0))
    rewards = build_rewards(loaded.section("rewards"), policy.streaming)
    worth_B = worth_of_streams(engine, rollouts, episodes, options.branches)
    right = [float(answered_right(r, e)) for r, e in zip(rollouts, episodes, strict=True)]
    mean_B = worth_B.view(-1, options.group).mean(dim=1).repeat_interleave(options.group)
    deserved_B2 = torch.stack([worth_B - mean_B, torch.tensor(right) - worth_B], dim=1)
    tokens_B2 = torch.tensor(
        [[r.tokens_in(phase) for phase in (Phase.STREAM, Phase.DEEP)] for r in rollouts]
    )

    def found_for(chosen: Sequence[Reward]) -> dict[str, Tensor]:
        valuer = plain_valuer(policy.model, chosen, engine.rollout, policy.layout, policy.codec)
        return advantages_of(rollouts, requests, chosen, settings, valuer)

    if options.each:
        local = dict.fromkeys(r.name for r in rewards if r.scope is not Scope.GLOBAL)
        each = {
            name: found_for([r for r in rewards if r.scope is Scope.GLOBAL or r.name == name])
            for name in local
        }
        lines = lines_of_each(deserved_B2, tokens_B2, each, options.group)
        print(parts.table(("phase", "reward", "GRPO", "HRPO", "difference"), lines))
        return
    found = found_for(rewards)
    lines = lines_of(deserved_B2, tokens_B2, found, options.group)
    print(parts.table(("phase", "advantage", "tokens judged", "wrong sign"), lines))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
