"""Arguments of HRPOTrainer in Python, checked: rewards of any form with their weights, and what fits them."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.hrpo.config import HRPOConfig
from adasr_trl.rewards import Reward, RewardForm, build_rewards
from adasr_trl.rewards.user import UserFunction
from adasr_trl.training.trainer_inputs import TrainerInputs, own_arguments, trainer_inputs

logger = logging.getLogger(__name__)

NO_LOCAL = (
    "reward_funcs: functions alone are global rewards, so local_weight is 0 and HRPO is GRPO; add a local reward, such as "
    '"format" or {"name": function, "scope": "deep"}'
)


@dataclass(frozen=True)
class HRPOArguments:
    """What HRPOTrainer was given, resolved."""

    args: HRPOConfig  # a copy, with the weight of each reward
    inputs: TrainerInputs
    rewards: tuple[Reward, ...]

    @property
    def method(self) -> str:
        """The command that trains so."""
        return "grpo" if self.args.is_flat else "hrpo"


def hrpo_arguments(
    model: Any,
    reward_funcs: RewardForm | Sequence[RewardForm] | None,
    args: HRPOConfig | None,
    datasets: tuple[Any, Any],
    processing_class: Any,
    streaming: StreamingConfig | None,
) -> HRPOArguments:
    """Resolve and check.

    Args:
        model: See ``trainer_inputs``.
        reward_funcs: One reward or several (``rewards.forms``).
        args: Training arguments; ``reward_weights`` are of ``reward_funcs``, one each.
        datasets: Training and held-out rows.
        processing_class: See ``trainer_inputs``.
        streaming: Likewise.

    Raises:
        ValueError: Rewards, or a layout, that ``args`` cannot use.
    """
    args = copy.copy(own_arguments(args, HRPOConfig))
    forms = _listed(reward_funcs)
    inputs = trainer_inputs(model, datasets, args, processing_class, streaming)
    rewards = build_rewards(
        forms,
        inputs.texts.streaming,
        flat=args.is_flat,
        columns=inputs.columns,
        weights=args.reward_weights,
    )
    if not args.is_flat and args.local_weight and all(map(_is_bare, forms)):
        logger.warning(NO_LOCAL)
        args.local_weight, args.local_weight_end = 0.0, None
    args.check_rewards(rewards)
    args.check_episodes(len(inputs.texts.data.train))
    args.check_layout(inputs.texts.streaming.layout)
    args.reward_weights = [reward.weight for reward in rewards]
    return HRPOArguments(args, inputs, rewards)


def _listed(reward_funcs: RewardForm | Sequence[RewardForm] | None) -> list[RewardForm]:
    if reward_funcs is None:
        raise ValueError(
            "reward_funcs: got none; give functions or names, such as ['accuracy', 'format']."
        )
    if isinstance(reward_funcs, list | tuple):
        return list(reward_funcs)
    return [cast(RewardForm, reward_funcs)]


def _is_bare(form: RewardForm) -> bool:
    """Whether a reward is a function that was given no scope, as TRL's have none."""
    return callable(form) and not isinstance(form, Reward | Mapping)


def reward_section(rewards: Sequence[Reward]) -> list[dict[str, Any]]:
    """Rewards as a configuration file spells them; a function's settings are in its script."""
    return [
        {
            "name": reward.name,
            "scope": reward.scope.value,
            "weight": reward.weight,
            "settings": {} if isinstance(reward.rule, UserFunction) else asdict(reward.rule),
        }
        for reward in rewards
    ]
