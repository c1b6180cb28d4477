"""A reward of the user's own: a function from Python, or ``module:function`` or ``module:Class`` in a configuration.

    def brevity(rollout, episode, limit=20):
        return float(rollout.answer_tokens <= limit)

    def exact(completions, answer, **columns):          # TRL's form
        return [float(gold in text) for text, gold in zip(completions, answer, strict=True)]

    rewards:
      - {name: "my_rewards:brevity", scope: deep, weight: 0.5, settings: {limit: 30}}

A function is called once a rollout with the ``Rollout``, the ``Episode`` and the settings. It returns a number, None
(cannot be scored), or, in the streaming scope, a list of one such value a chunk; stage granularity takes their mean.
A coroutine is awaited. A partial, an instance with ``__call__`` and a wrapped function are functions, too. A class is a ``Rule``, like the built-in ones; with ``within_group`` it is relative to the group.

A function with a parameter ``prompts``, ``completions`` or ``completion_ids`` has TRL's form. It is called once for all
rollouts of a process. The completion is the text that the model wrote in the reward's scope; the
columns are those of the rows. In a trainer it gets TRL's ``trainer_state``, ``log_metric`` and ``log_extra``, too.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Phase
from adasr_trl.core.rollout import Rollout
from adasr_trl.rewards.awaiting import settled
from adasr_trl.rewards.base import LARGEST, Reward, RewardValue, Rule, Scope, ScoredRollout

Columns = Mapping[str, Mapping[str, Any]]  # an episode's id to the columns of its row
Hooks = Callable[[], Mapping[str, Any]]  # arguments by name that a trainer has for reward functions
_TRAINER_PARAMETERS = ("trainer_state", "log_metric", "log_extra")
_TRL_PARAMETERS = ("prompts", "completions", "completion_ids")
_BYTES = bytes | bytearray | memoryview


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
            result = settled(self.function(scored.rollout, scored.episode, **self.settings))
        except Exception as error:
            raise UserError(
                f"reward {self.name}: raised {type(error).__name__} for episode {scored.episode.id!r}: {error}"
            ) from error
        return self._value(result, scored, scope)

    def _value(self, result: Any, scored: ScoredRollout, scope: Scope) -> RewardValue:
        result = _listed(result)
        if not isinstance(result, list | tuple):
            return RewardValue(self._number(result, scored))
        expected = len(scored.episode.chunks)
        if scope is not Scope.STREAMING or len(result) != expected:
            raise self._wrong(result, scored, f"a list of {expected} only in scope streaming")
        values = tuple(self._number(value, scored) for value in result)
        known = [value for value in values if value is not None]
        return RewardValue(statistics.fmean(known) if known else None, values)

    def _number(self, value: Any, scored: ScoredRollout) -> float | None:
        if value is None:
            return None
        if not isinstance(value, int | float):
            raise self._wrong(value, scored, "a number or None")
        if not abs(value) <= LARGEST:
            raise self._wrong(
                value, scored, f"{-LARGEST:g} to {LARGEST:g}, or None for what cannot be scored"
            )
        return float(value)

    def _wrong(self, result: object, scored: ScoredRollout, expected: str) -> UserError:
        return UserError(
            f"reward {self.name}: returned {_shown(result)} for episode {scored.episode.id!r}; expected {expected}."
        )


@dataclass(frozen=True)
class TRLFunction(UserFunction):
    """Calls a function of TRL's form with all rollouts of a process."""

    columns: Columns = field(default_factory=dict)
    hooks: Hooks = field(default=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse a function that needs a column which no row has (ValueError)."""
        known = set(_TRL_PARAMETERS).union(_EPISODE_COLUMNS, self.settings, *self.columns.values())
        for name, parameter in inspect.signature(self.function).parameters.items():
            needed = parameter.default is parameter.empty and parameter.kind in _BY_NAME
            if needed and name not in known.union(_TRAINER_PARAMETERS):
                raise ValueError(
                    f"{self.name}: needs the column {name!r}; the rows have {', '.join(sorted(known))}."
                )

    def measure(self, scored: ScoredRollout, scope: Scope, *_: object) -> RewardValue:
        """The function's value or values for a batch of one."""
        return self._measured([scored], scope)[0]

    def measure_batch(
        self, batch: Sequence[ScoredRollout], scope: Scope, streaming: StreamingConfig
    ) -> list[RewardValue]:
        """The function's values; a UserError if it raises, or returns something else."""
        del streaming
        return self._measured(batch, scope) if batch else []

    def _measured(self, batch: Sequence[ScoredRollout], scope: Scope) -> list[RewardValue]:
        try:
            values = settled(self.function(**self._arguments(batch, scope)))
        except Exception as error:
            raise UserError(
                f"reward {self.name}: raised {type(error).__name__} for {len(batch)} rollouts: {error}"
            ) from error
        values = _listed(values)
        is_list = isinstance(values, Sequence) and not isinstance(values, str | _BYTES)
        if not is_list or len(values) != len(batch):
            raise UserError(
                f"reward {self.name}: returned {_shown(values)} for {len(batch)} rollouts; expected a list with one "
                f"number a completion."
            )
        return [
            self._value(value, scored, scope) for value, scored in zip(values, batch, strict=True)
        ]

    def _arguments(self, batch: Sequence[ScoredRollout], scope: Scope) -> dict[str, Any]:
        rows = [{**_columns(x.episode), **self.columns.get(x.episode.id, {})} for x in batch]
        names = dict.fromkeys(name for row in rows for name in row)  # in their order
        found: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
        found |= {
            "prompts": [scored.episode.question for scored in batch],
            "completions": [completion(scored.rollout, scope) for scored in batch],
            "completion_ids": [_written_ids(scored.rollout, scope) for scored in batch],
            **self.hooks(),
            **self.settings,
        }
        parameters = inspect.signature(self.function).parameters
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return found
        return {name: value for name, value in found.items() if name in parameters}


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_EPISODE_COLUMNS = ("id", "question", "text", "chunks", "answer")
_WRITTEN = {
    Scope.STREAMING: (Phase.STREAM,),
    Scope.DEEP: (Phase.DEEP,),
    Scope.GLOBAL: (Phase.STREAM, Phase.DEEP),
}


def _listed(result: Any) -> Any:
    """An array of numpy's, torch's or pandas' as a list or a number; anything else as it is."""
    is_array = hasattr(result, "tolist") and not isinstance(result, _BYTES)
    return result.tolist() if is_array else result


def _shown(result: object) -> str:
    """The start of a result, in one line."""
    return " ".join(repr(result).split())[:100]


def _columns(episode: Episode) -> dict[str, Any]:
    return {name: getattr(episode, name) for name in _EPISODE_COLUMNS}


def _written_ids(rollout: Rollout, scope: Scope) -> list[int]:
    tokens = zip(rollout.token_ids, rollout.phases, strict=True)
    return [token_id for token_id, phase in tokens if phase in _WRITTEN[scope]]


def with_hooks(rewards: Sequence[Reward], hooks: Hooks) -> tuple[Reward, ...]:
    """The rewards, with a trainer's arguments for functions of TRL's form."""
    return tuple(
        replace(reward, rule=replace(reward.rule, hooks=hooks))
        if isinstance(reward.rule, TRLFunction)
        else reward
        for reward in rewards
    )


def takes_log_extra(reward: Reward) -> bool:
    """Whether a reward is a function of TRL's form that names ``log_extra``."""
    rule = reward.rule
    return (
        isinstance(rule, TRLFunction) and "log_extra" in inspect.signature(rule.function).parameters
    )


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
    """SHA-256 of the files of each of the user's rewards: a run is another one when its rewards are."""
    named = [reward for reward in rewards if ":" in reward.name]
    files = [file for reward in named for file in _source_files(reward) if file]
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}


def _source_files(reward: Reward) -> Iterator[str | None]:
    """The files of a formula and of what lies under it, and of the module that names it if it is neither def nor class."""
    rule = reward.rule
    formula: Any = rule.function if isinstance(rule, UserFunction) else type(rule)
    while formula is not None:
        if inspect.isfunction(formula) or inspect.ismethod(formula) or inspect.isclass(formula):
            yield _source_file(formula)
        else:
            yield importlib.import_module(reward.name.partition(":")[0]).__file__
            if type(formula).__module__ != "functools":
                yield _source_file(type(formula))
        if isinstance(formula, functools.partial):
            formula = formula.func
        else:
            formula = getattr(formula, "__dict__", {}).get("__wrapped__")


def _source_file(formula: Any) -> str | None:
    """The file of a function or class; None for one of C."""
    try:
        return inspect.getsourcefile(formula)
    except (OSError, TypeError):
        return None
