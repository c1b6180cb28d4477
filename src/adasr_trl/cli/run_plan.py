"""Plan of a training run: its directory and identity, checked before a model is loaded.

>>> plan = plan_run(prepared, Existing.RESUME)
>>> if not plan.complete: plan.take(["hrpo", "--config", "hrpo.yaml"], episodes)
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from adasr_trl import __version__
from adasr_trl.artifacts import directory
from adasr_trl.artifacts.digests import input_digest
from adasr_trl.artifacts.names import (
    ADAPTER_CONFIG,
    CONFIG_FILE,
    RUN_FILE,
    STREAMING_FILE,
    is_hub_id,
)
from adasr_trl.artifacts.provenance import save_provenance
from adasr_trl.artifacts.saved_config import load_streaming, other_protocol, recorded_dtype
from adasr_trl.cli.prepare import Prepared
from adasr_trl.config.loading import LoadedConfig
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.config.trackers import check_reporters
from adasr_trl.config.values import ConfigError
from adasr_trl.core.episode import Episode
from adasr_trl.core.files import write_text
from adasr_trl.core.startup import is_first_process
from adasr_trl.rewards import source_digests

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPlan:
    """A run that may start."""

    run: Path  # its directory
    identity: Mapping[str, object]  # command, resolved configuration and digests of the inputs
    base: str | None  # path of the model that it starts from, or None
    existing: directory.Existing  # treatment of a directory that holds something
    complete: bool  # whether the run has finished already

    def take(self, command: Sequence[str], *episodes: Sequence[Episode]) -> None:
        """Take the directory and write configuration and provenance; one process does it for all.

        Args:
            command: Arguments of ``adasr``.
            episodes: Training data, for its sources and licences.

        Raises:
            RunDirectoryError: Another process works on the run, or has finished it since the plan was made.
        """
        if not is_first_process():
            return
        if directory.take(self.run, self.identity, self.existing) is directory.State.COMPLETE:
            raise directory.RunDirectoryError(
                f"{self.run}: another process has finished this run meanwhile; run the same command again."
            )
        text = yaml.safe_dump(self.identity["config"], sort_keys=False, allow_unicode=True)
        write_text(self.run / CONFIG_FILE, text)
        before = Path(self.base) if self.base else None
        save_provenance(self.run, command, itertools.chain(*episodes), before)


def plan_run(prepared: Prepared, existing: directory.Existing) -> RunPlan:
    """Check directory, model and data of a run.

    Raises:
        ConfigError: A setting that cannot work, with its line.
        RunDirectoryError: The directory holds something that ``existing`` does not let us touch.
    """
    loaded, model = prepared.loaded, prepared.model_config
    data: DataConfig = loaded.section("data")
    run = _output(loaded)
    _check_model(loaded, model, is_taught=prepared.command == "sft")
    _check_held_out(loaded, data)
    check_reporters(loaded)
    code = source_digests(prepared.rewards)
    prepared.settle_dtype(None if existing is directory.Existing.OVERWRITE else recorded_dtype(run))
    loaded = prepared.loaded
    identity = {
        "command": prepared.command,
        "version": __version__,
        "config": loaded.resolved(),
        "model": input_digest(model.path) if model.path else "scratch",
        "train": [input_digest(file) for file in data.files],
        **({"code": code} if code else {}),
    }
    if is_first_process():
        complete = directory.look(run, identity, existing) is directory.State.COMPLETE
        if complete:
            logger.info("%s is complete", run)
    else:
        complete = directory.is_done(run, identity, existing)
    return RunPlan(run, identity, model.path, existing, complete)


def _output(loaded: LoadedConfig) -> Path:
    """The run's directory."""
    output = loaded.flat.get("output_dir")
    if output is None or output == "":
        raise ConfigError(f"{loaded.path}: output_dir is missing; name the run's directory.")
    if not isinstance(output, str):  # such as 2026-12-01, a date in YAML
        raise loaded.error("output_dir", f"got {output!s}; expected text. Put text in quotes.")
    return Path(output)


def _check_model(loaded: LoadedConfig, model: ModelConfig, *, is_taught: bool) -> None:
    """Refuse a missing directory, an unfinished run and a second adapter."""
    if model.path is None:
        return
    path = Path(model.path)
    if not (path.is_dir() or is_hub_id(path)):
        raise loaded.error(
            "model.path", f"no directory {model.path!r}; train it first, or name a Hub id."
        )
    if path.is_dir() and model.revision:
        raise loaded.error(
            "model.revision", f"has no effect on the directory {model.path}; remove it."
        )
    if path.is_dir() and not any(path.glob("*config.json")) and not model.gguf_file:
        raise loaded.error(
            "model.path",
            f"{model.path} holds no config.json: {directory.why_no_run(path)}.",
        )
    if (path / RUN_FILE).is_file() and not directory.is_complete(path):
        raise loaded.error(
            "model.path", f"the run {model.path} is not finished; finish it with --resume."
        )
    if (path / ADAPTER_CONFIG).is_file() and loaded.section("lora") is not None:
        raise loaded.error(
            "lora",
            f"the model in {model.path} has an adapter, whose training goes on; remove the section.",
        )
    if (path / STREAMING_FILE).is_file():
        _check_same_protocol(loaded, path, is_taught=is_taught)


def _check_same_protocol(loaded: LoadedConfig, path: Path, *, is_taught: bool) -> None:
    """Refuse another layout, prompt or marker than the model was trained on; SFT may teach another layout."""
    trained, asked = load_streaming(path), loaded.section("streaming")
    if key := other_protocol(trained, asked, is_taught=is_taught):
        before, after = vars(trained)[key], vars(asked)[key]
        raise loaded.error(
            f"streaming.{key}",
            f"got {_spelled(after)}, but the model in {path} was taught {_spelled(before)}; use the same.",
        )


def _spelled(value: object) -> str:
    """A setting as YAML writes it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else repr(value)


def _check_held_out(loaded: LoadedConfig, data: DataConfig) -> None:
    for key, off in (("eval_strategy", "no"), ("eval_on_start", False)):
        value = loaded.flat.get(key, off)
        if value != off and data.held_out == 0:
            raise loaded.error(
                key,
                f"got {value!r}, but data.held_out is 0, so there is nothing to evaluate on; hold some episodes out, or "
                f"set {key}: {'no' if off else 'false'}.",
            )
