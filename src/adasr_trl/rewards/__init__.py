"""Rewards: each has a scope, and is summed with its weight within that scope.

    rewards:
      - {name: accuracy, scope: global}
      - {name: format, scope: streaming, weight: 0.25}
      - {name: adaptive_thinking, scope: deep, settings: {cost: latency}}
      - {name: "my_rewards:brevity", scope: deep}      # a function, or a Rule, of your own

The paper names three: format, accuracy, adaptive thinking; their formulas are our choice. Published ones stand beside
them (docs/REWARDS.md). In no scope does a right answer score below a wrong one of the same format: sums that would
allow it are refused. No torch is loaded here.
"""

from adasr_trl.rewards.base import Reward, RewardValue, Rule, Scope, ScoredRollout, answered_right
from adasr_trl.rewards.build import BUILT_IN, RewardError, build_rewards
from adasr_trl.rewards.forms import RewardForm
from adasr_trl.rewards.user import source_digests

__all__ = [
    "BUILT_IN",
    "Reward",
    "RewardError",
    "RewardForm",
    "RewardValue",
    "Rule",
    "Scope",
    "ScoredRollout",
    "answered_right",
    "build_rewards",
    "source_digests",
]
