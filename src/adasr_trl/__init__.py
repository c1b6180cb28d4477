"""adasr-trl: teach small language models to reason while their input is still arriving.

    >>> from adasr_trl import HRPOConfig, HRPOTrainer, StreamingReasoner
    >>> rows = [{"question": "How many hens has Tom?", "text": "Tom has 5 hens. He buys 3.", "answer": 8}]
    >>> trainer = HRPOTrainer("runs/sft", ["accuracy", "format"], HRPOConfig("runs/hrpo"), rows)
    >>> trainer.train(), trainer.save_model()
    >>> StreamingReasoner.from_pretrained("runs/hrpo").start("How many hens has Ann?")

Data:
    Episode, Source, AnswerType        one question with its input in chunks, its answer and perhaps a trace
    as_episodes                        rows (a Dataset, dictionaries) to episodes, as the trainers do it
    sentence_chunks                    a text cut at its sentences
    read_episodes, write_episodes      JSON Lines files of episodes
Training:
    StreamingSFTTrainer, StreamingSFTConfig      TRL's SFTTrainer on traces
    HRPOTrainer, HRPOConfig                      TRL's GRPOTrainer with one advantage for each phase
    StreamingConfig, Markers, Clock              the protocol that training and use share
    ModelConfig, ScratchConfig                   a model to load, or a new one
    build_rewards, RewardConfig, Rule, Scope     rewards; own ones are functions or Rules
    GroupFilter, CollapseAlarms                  groups sampled again, and alarms
Use:
    StreamingReasoner, BackgroundStream          live streams
    evaluate, EvalConfig                         unseen questions, recorded and judged
    Rollout, UserError                           a sampled trajectory, and a user's error

AdaSR (arXiv 2606.14694) and HRPO, hierarchical relative policy optimization, on Hugging Face's TRL. Importing this
package loads no torch; the names above are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from adasr_trl.config.eval_section import EvalConfig as EvalConfig
    from adasr_trl.config.sections import GroupFilter as GroupFilter
    from adasr_trl.config.sections import ModelConfig as ModelConfig
    from adasr_trl.config.sections import RewardConfig as RewardConfig
    from adasr_trl.config.sections import ScratchConfig as ScratchConfig
    from adasr_trl.config.sections import StreamingConfig as StreamingConfig
    from adasr_trl.core.clock import Clock as Clock
    from adasr_trl.core.episode import AnswerType as AnswerType
    from adasr_trl.core.episode import Episode as Episode
    from adasr_trl.core.episode import Source as Source
    from adasr_trl.core.episode import read_episodes as read_episodes
    from adasr_trl.core.episode import write_episodes as write_episodes
    from adasr_trl.core.errors import UserError as UserError
    from adasr_trl.core.protocol import Markers as Markers
    from adasr_trl.core.rollout import Rollout as Rollout
    from adasr_trl.core.sentences import sentence_chunks as sentence_chunks
    from adasr_trl.evaluation.python import evaluate as evaluate
    from adasr_trl.hrpo import CollapseAlarms as CollapseAlarms
    from adasr_trl.hrpo import HRPOConfig as HRPOConfig
    from adasr_trl.hrpo import HRPOTrainer as HRPOTrainer
    from adasr_trl.live.background import BackgroundStream as BackgroundStream
    from adasr_trl.live.reasoner import StreamingReasoner as StreamingReasoner
    from adasr_trl.rewards import Rule as Rule
    from adasr_trl.rewards import Scope as Scope
    from adasr_trl.rewards import build_rewards as build_rewards
    from adasr_trl.training.episode_rows import as_episodes as as_episodes
    from adasr_trl.training.sft import StreamingSFTConfig as StreamingSFTConfig
    from adasr_trl.training.sft import StreamingSFTTrainer as StreamingSFTTrainer

# Each public name, and the module that holds it.
_HOMES = {
    "AnswerType": "adasr_trl.core.episode",
    "BackgroundStream": "adasr_trl.live.background",
    "Clock": "adasr_trl.core.clock",
    "CollapseAlarms": "adasr_trl.hrpo",
    "Episode": "adasr_trl.core.episode",
    "EvalConfig": "adasr_trl.config.eval_section",
    "GroupFilter": "adasr_trl.config.sections",
    "HRPOConfig": "adasr_trl.hrpo",
    "HRPOTrainer": "adasr_trl.hrpo",
    "Markers": "adasr_trl.core.protocol",
    "ModelConfig": "adasr_trl.config.sections",
    "RewardConfig": "adasr_trl.config.sections",
    "Rollout": "adasr_trl.core.rollout",
    "Rule": "adasr_trl.rewards",
    "Scope": "adasr_trl.rewards",
    "ScratchConfig": "adasr_trl.config.sections",
    "Source": "adasr_trl.core.episode",
    "StreamingConfig": "adasr_trl.config.sections",
    "StreamingReasoner": "adasr_trl.live.reasoner",
    "StreamingSFTConfig": "adasr_trl.training.sft",
    "StreamingSFTTrainer": "adasr_trl.training.sft",
    "UserError": "adasr_trl.core.errors",
    "as_episodes": "adasr_trl.training.episode_rows",
    "build_rewards": "adasr_trl.rewards",
    "evaluate": "adasr_trl.evaluation.python",
    "read_episodes": "adasr_trl.core.episode",
    "sentence_chunks": "adasr_trl.core.sentences",
    "write_episodes": "adasr_trl.core.episode",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'adasr_trl' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
