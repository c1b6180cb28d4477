"""A reward of the user's own: any function named as ``module:function`` in the configuration.

    def brevity(rollout, episode, limit=20):
        return float(rollout.answer_tokens <= limit)

    rewards:
      - {name: "my_rewards:brevity", scope: deep, weight: 0.5, settings: {limit: 30}}

It is called once a rollout with the ``Rollout``, the ``Episode`` and the settings. It returns a number, None (cannot
be scored), or, in the streaming scope, a list of one such value a chunk; stage granularity takes their mean.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.rewards.base import Graded, Measured, Reward, Rule, Scope

LARGEST = 3.4e38  # that single precision holds


@dataclass(frozen=True)
class UserFunction(Rule):
    """Calls the function; what it returns is checked."""

    name: str
    function: Callable[..., Any]
    settings: Mapping[str, float | int | str | bool] = field(default_factory=dict)

    def measure(self, graded: Graded, scope: Scope, streaming: StreamingConfig) -> Measured:
        """The function's value or values.

        Raises:
            UserError: It raised, or returned something else.
        """
        del streaming
        try:
            found = self.function(graded.rollout, graded.episode, **self.settings)
        except Exception as error:
            raise UserError(
                f"reward {self.name}: raised {type(error).__name__} for episode {graded.episode.id!r}: {error}"
            ) from error
        if hasattr(found, "tolist"):  # numpy's and torch's
            found = found.tolist()
        if isinstance(found, list | tuple):
            return self._chunks(found, graded, scope)
        return Measured(self._number(found, graded))

    @property
    def margin(self) -> None:
        """Unknown."""
        return

    def _chunks(self, found: list[Any] | tuple[Any, ...], graded: Graded, scope: Scope) -> Measured:
        expected = len(graded.episode.chunks)
        if scope is not Scope.STREAMING or len(found) != expected:
            raise self._wrong(found, graded, f"a list of {expected} only in scope streaming")
        values = tuple(self._number(each, graded) for each in found)
        known = [each for each in values if each is not None]
        return Measured(statistics.fmean(known) if known else None, values)

    def _number(self, found: Any, graded: Graded) -> float | None:
        if found is None:
            return None
        if not isinstance(found, int | float):
            raise self._wrong(found, graded, "a number or None")
        number = float(found) if abs(found) <= LARGEST else math.inf
        if not math.isfinite(number):
            raise self._wrong(found, graded, "a finite number, or None for what cannot be scored")
        return number

    def _wrong(self, found: object, graded: Graded, expected: str) -> UserError:
        return UserError(
            f"reward {self.name}: returned {found!r} for episode {graded.episode.id!r}; expected {expected}."
        )


def load_function(name: str, settings: Mapping[str, float | int | str | bool]) -> UserFunction:
    """The function ``module:function``; modules are looked for in the working directory, too.

    Raises:
        ValueError: No such module or function, or arguments that it does not take.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name or module_name.startswith("."):
        raise ValueError(f"{name!r}: expected module:function.")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever a module written by others may raise
        raise ValueError(
            f"{name}: the module cannot be imported ({type(error).__name__}: {error}); mend it, run from its folder, or "
            f"install it."
        ) from error
    function = vars(module).get(function_name)
    if not callable(function):
        raise ValueError(f"{name}: {module_name} has no function {function_name!r}.")
    try:
        inspect.signature(function).bind(None, None, **settings)
    except TypeError as error:
        raise ValueError(
            f"{name}: it must take (rollout, episode) and its settings: {error}."
        ) from error
    return UserFunction(name, function, dict(settings))


def source_digests(rewards: Sequence[Reward]) -> dict[str, str]:
    """SHA-256 of the file of each of the user's functions: a run is another one when its rewards are."""
    functions = [r.rule.function for r in rewards if isinstance(r.rule, UserFunction)]
    files = [inspect.getsourcefile(function) for function in functions]
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files if file}
