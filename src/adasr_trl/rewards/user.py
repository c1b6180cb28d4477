"""A reward of the user's own: a function from Python, or ``module:function`` or ``module:Class`` in a configuration.

    def brevity(rollout, episode, limit=20):
        return float(rollout.answer_tokens <= limit)

    def exact(completions, answer, **columns):          # TRL's form
        return [float(gold in text) for text, gold in zip(completions, answer, strict=True)]

    rewards:
      - {name: "my_rewards:brevity", scope: deep, weight: 0.5, settings: {limit: 30}}

A function is called once a rollout with the ``Rollout``, the ``Episode`` and the settings. It returns a number, None
(cannot be scored), or, in the streaming scope, a list of one such value a chunk; stage granularity takes their mean.
A class is a ``Rule``, like the built-in ones; with ``within_group`` it is relative to the group.

A function with a parameter ``prompts``, ``completions`` or ``completion_ids`` has TRL's form. It is called with lists of one
entry: rollouts are measured one at a time, on their own process. The completion is the text that the model wrote in the
reward's scope; the columns are those of the row.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.rewards.base import Reward, RewardValue, Rule, Scope, ScoredRollout

LARGEST = 3.4e38  # that single precision holds
Columns = Mapping[str, Mapping[str, Any]]  # an episode's id to the columns of its row
_TRL_PARAMETERS = ("prompts", "completions", "completion_ids")


@dataclass(frozen=True)
class UserFunction(Rule):
    """Calls the function and checks its result."""

    name: str
    function: Callable[..., Any]
    settings: Mapping[str, float | int | str | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a function that does not take its settings (ValueError)."""
        try:
            inspect.signature(self.function).bind(None, None, **self.settings)
        except TypeError as error:
            expected = "it must take (rollout, episode) and its settings"
            raise ValueError(f"{self.name}: {expected}: {error}.") from error

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """The function's value or values; a UserError if it raises, or returns something else."""
        try:
            result = self._call(scored, scope)
        except Exception as error:
            raise UserError(
                f"reward {self.name}: raised {type(error).__name__} for episode {scored.episode.id!r}: {error}"
            ) from error
        if hasattr(result, "tolist"):  # numpy's and torch's
            result = result.tolist()
        if not isinstance(result, list | tuple):
            return RewardValue(self._number(result, scored))
        expected = len(scored.episode.chunks)
        if scope is not Scope.STREAMING or len(result) != expected:
            raise self._wrong(result, scored, f"a list of {expected} only in scope streaming")
        values = tuple(self._number(value, scored) for value in result)
        known = [value for value in values if value is not None]
        return RewardValue(statistics.fmean(known) if known else None, values)

    def _call(self, scored: ScoredRollout, scope: Scope) -> Any:
        del scope
        return self.function(scored.rollout, scored.episode, **self.settings)

    def _number(self, value: Any, scored: ScoredRollout) -> float | None:
        if value is None:
            return None
        if not isinstance(value, int | float):
            raise self._wrong(value, scored, "a number or None")
        if not abs(value) <= LARGEST:
            raise self._wrong(value, scored, "a finite number, or None for what cannot be scored")
        return float(value)

    def _wrong(self, result: object, scored: ScoredRollout, expected: str) -> UserError:
        return UserError(
            f"reward {self.name}: returned {result!r} for episode {scored.episode.id!r}; expected {expected}."
        )


@dataclass(frozen=True)
class TRLFunction(UserFunction):
    """Calls a function of TRL's form with a batch of one rollout."""

    columns: Columns = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a function that needs a column which no row has (ValueError)."""
        known = set(_TRL_PARAMETERS).union(_EPISODE_COLUMNS, self.settings, *self.columns.values())
        for name, parameter in inspect.signature(self.function).parameters.items():
            needed = parameter.default is parameter.empty and parameter.kind in _BY_NAME
            if needed and name not in known:
                raise ValueError(
                    f"{self.name}: needs the column {name!r}; the rows have {', '.join(sorted(known))}."
                )

    def _call(self, scored: ScoredRollout, scope: Scope) -> Any:
        episode, rollout = scored.episode, scored.rollout
        tokens = zip(rollout.token_ids, rollout.phases, strict=True)
        ids = [token_id for token_id, phase in tokens if phase in _WRITTEN[scope]]
        columns = {**_columns(episode), **self.columns.get(episode.id, {})}
        batch: dict[str, Any] = {name: [value] for name, value in columns.items()}
        batch |= {"prompts": [episode.question], "completions": [completion(rollout, scope)]}
        batch |= {"completion_ids": [ids], **self.settings}
        parameters = inspect.signature(self.function).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            batch = {name: value for name, value in batch.items() if name in parameters}
        values = self.function(**batch)
        if not hasattr(values, "__len__") or len(values) != 1:
            raise ValueError(f"returned {values!r}; expected a list with one number a completion")
        return values[0]


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_EPISODE_COLUMNS = ("id", "question", "text", "chunks", "answer")
_WRITTEN = {
    Scope.STREAMING: (Phase.STREAM,),
    Scope.DEEP: (Phase.DEEP,),
    Scope.GLOBAL: (Phase.STREAM, Phase.DEEP),
}


def _columns(episode: Episode) -> dict[str, Any]:
    return {name: getattr(episode, name) for name in _EPISODE_COLUMNS}


def completion(rollout: Rollout, scope: Scope) -> str:
    """The text that a model wrote in a scope, without markers: thoughts, deep reasoning, answer, a line each."""
    thoughts = () if scope is Scope.DEEP else rollout.thoughts
    deep = () if scope is Scope.STREAMING else (rollout.deep, rollout.answer or "")
    return "\n".join(part.strip() for part in (*thoughts, *deep) if part.strip())


def is_trl_function(formula: Callable[..., Any]) -> bool:
    """Whether a function takes a batch by TRL's names, not a rollout and its episode."""
    return any(name in _TRL_PARAMETERS for name in inspect.signature(formula).parameters)


def load(name: str) -> Callable[..., Any]:
    """The function or ``Rule`` of ``module:name``, looked up in the working directory, too; ValueError if there is none."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute or module_name.startswith("."):
        raise ValueError(f"{name!r}: expected module:function or module:Class.")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a module written by others may raise
        raise ValueError(
            f"{name}: the module cannot be imported ({type(error).__name__}: {error}); fix it, run from its folder, or "
            f"install it."
        ) from error
    formula: Callable[..., Any] | None = vars(module).get(attribute)
    if not callable(formula):
        raise ValueError(f"{name}: {module_name} has no function {attribute!r}.")
    return formula


def source_digests(rewards: Sequence[Reward]) -> dict[str, str]:
    """SHA-256 of the file of each of the user's rewards: a run is another one when its rewards are."""
    rules = [reward.rule for reward in rewards if ":" in reward.name]
    formulas = [rule.function if isinstance(rule, UserFunction) else type(rule) for rule in rules]
    files = [inspect.getsourcefile(formula) for formula in formulas]
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files if file}
