"""Drawing a generation batch: rollouts of this process' rows, scored over all, groups without signal drawn again.

>>> drawer = Drawer(train_episodes, rewards, roll, Mode.STREAMING, flat=False)
>>> draw = drawer.draw(episodes, occasion, accelerator)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adasr_trl.config.sections import GroupFilter
from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode
from adasr_trl.engines import Request, Sampling
from adasr_trl.engines.base import Generate
from adasr_trl.hrpo.advantages import Normalisation, Settings
from adasr_trl.hrpo.group_filter import Draw, Verdicts, drawn, sums, verdicts
from adasr_trl.hrpo.scoring import Row, Scores, grade, scopes_of, score
from adasr_trl.hrpo.trl_batch import other_episode, row_seed
from adasr_trl.rewards import Reward


@dataclass(frozen=True)
class Occasion:
    """One draw of one step.

    Attributes:
        key: Names it; with a row's place and its episode it fixes the row's random numbers.
        first_row: Place of this process' first row among those of all.
        settings: Of the advantages.
        progress: Share of the training that is over.
        sampling: How tokens are drawn.
        group_filter: Which groups to draw again, or None for none.
    """

    key: str
    first_row: int
    settings: Settings
    progress: float
    sampling: Sampling
    group_filter: GroupFilter | None


@dataclass(frozen=True)
class Drawer:
    """What every draw of a run has in common.

    Attributes:
        pool: The training episodes, which a redrawn group may get another one of.
        rewards: What measures the rollouts.
        roll: What rolls out.
        mode: Streaming, or read-then-think.
        flat: Whether all rewards are one sum.
    """

    pool: Sequence[Episode]
    rewards: Sequence[Reward]
    roll: Generate
    mode: Mode
    flat: bool

    def draw(self, episodes: Sequence[Episode], occasion: Occasion, accelerator: Any) -> Draw:
        """Roll out the episodes of this process' rows; every process must call it."""
        asked, first = list(episodes), occasion.first_row
        group_of = [(first + place) // occasion.settings.group_size for place in range(len(asked))]
        rule = occasion.group_filter

        def sample(places: Sequence[int], attempt: int) -> list[Row]:
            key = f"{occasion.key}/{attempt}" if attempt else occasion.key
            for place in places:
                if attempt and rule and rule.redraw == "episode":
                    asked[place] = other_episode(self.pool, asked[place], key, group_of[place])
            requests = [
                Request(asked[place], row_seed(key, first + place, asked[place]), self.mode)
                for place in places
            ]
            pairs = zip(self.roll(requests, occasion.sampling), requests, strict=True)
            return [grade(rollout, request.episode, self.rewards) for rollout, request in pairs]

        def judge(rows: Sequence[Row]) -> tuple[Scores, Verdicts]:
            settings = occasion.settings
            scores = score(rows, self.rewards, accelerator, settings, occasion.progress)
            plain = replace(settings, normalisation=Normalisation.GROUP)  # leaves sums as they are
            scopes = scopes_of(scores, self.rewards, plain, flat=self.flat)
            return scores, verdicts(scores, sums(scopes, settings), settings.group_size)

        return drawn(sample, judge, group_of, rule)
