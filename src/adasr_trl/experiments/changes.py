"""Runs that were trained otherwise than a grid's configuration now says.

    >>> changes(Path("runs/ablate/seed-0/half"), "hrpo.yaml", ("--local_weight", "0.5"))
    ['local_weight is 0.25 in the run, and now 0.5']

Tables alone (``--tables-only``) are made from the runs that are there, whatever their titles say.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.directory import MEMORY_KEYS, read_identity
from adasr_trl.config.loading import load_config
from adasr_trl.config.values import ConfigError, plain
from adasr_trl.experiments.stages import Stage

logger = logging.getLogger(__name__)

PLACES = ("output_dir", "model.path")  # of folders that may have been moved since
BY_COMMAND = ("advantages",)  # set by adasr grpo and hrpo, in no file


def warn_of_changes(stages: Sequence[Stage], root: Path) -> None:
    """One line for each trained run whose settings are no longer those of its configuration."""
    for stage in stages:
        if stage.command == "eval":
            continue
        try:
            found = changes(root / stage.name, stage.config, stage.overrides)
        except ConfigError as error:
            found = [f"its configuration cannot be read ({str(error).rstrip('.')})"]
        if found:
            logger.warning(
                "%s: %s; the table shows the run as it is. Without --tables-only it is trained anew.",
                stage.name, "; ".join(found),
            )  # fmt: skip


def changes(run: Path, config: str, overrides: Sequence[str]) -> list[str]:
    """What a run's record has otherwise than a file with overrides, in words; nothing where it has no record."""
    recorded = read_identity(run).get("config")
    if not isinstance(recorded, dict):
        return []
    asked: Any = plain(load_config(config, overrides, {}).root)
    removed = [
        f"{key} is {value} in the run, and now not set"
        for key, value in recorded.items()
        if key not in (*asked, *BY_COMMAND) and isinstance(value, str | int | float)  # no section
    ]
    return [*_differences(recorded, asked, ""), *removed]


def _differences(recorded: object, asked: object, name: str) -> Iterator[str]:
    """Of all values that are asked for; a recorded section holds its defaults, too."""
    if isinstance(recorded, Mapping) and isinstance(asked, Mapping):
        for key, value in asked.items():
            yield from _differences(recorded.get(key), value, f"{name}.{key}" if name else key)
    elif isinstance(recorded, list) and isinstance(asked, list) and len(recorded) == len(asked):
        for n, (before, after) in enumerate(zip(recorded, asked, strict=True)):
            yield from _differences(before, after, f"{name}.{n}")
    elif name == "model.dtype" and asked == "auto":
        return  # a run records the precision that it took
    elif name not in (*PLACES, *MEMORY_KEYS) and str(recorded) != str(asked) and recorded != asked:
        yield f"{name} is {recorded} in the run, and now {asked}"
