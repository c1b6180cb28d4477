"""``adasr eval``: answers to unseen questions by finished runs, and their table."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adasr_trl.cli.arguments import add_config, add_existing
from adasr_trl.cli.support_matrix import check
from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.loading import LoadedConfig, load_config
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.core.demo import results_directory

SECTIONS: Mapping[str, Any] = {"model": ModelConfig, "data": DataConfig, "eval": EvalConfig}


def add_eval(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr eval``."""
    add_config(parser)
    add_existing(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    from adasr_trl.evaluation.run import evaluate

    loaded = check_eval(options.config, options.overrides)
    models = {name: _own_records(config.section("model")) for name, config in loaded.items()}
    first = next(iter(loaded.values()))
    print(evaluate(models, first.section("data"), first.section("eval"), options.existing))
    return 0


def check_eval(config: str, overrides: Sequence[str]) -> dict[str, LoadedConfig]:
    """The configuration of each run that is to be evaluated, checked without torch (ConfigError)."""
    found = configs_by_run(config, overrides)
    for loaded in found.values():
        loaded.refuse_unknown(())
        for key in ("untraced", "too_long"):
            if vars(loaded.section("data"))[key] != "refuse":
                raise loaded.error(f"data.{key}", "has no effect here; every question is asked.")
        check(loaded, "eval")
    return found


def _own_records(model: ModelConfig) -> ModelConfig:
    """The model in the package as a copy, which takes its records."""
    return dataclasses.replace(model, path=str(results_directory(model.path or "")))


def configs_by_run(config: str, overrides: Sequence[str]) -> dict[str, LoadedConfig]:
    """Name of each run to its configuration: with a path of ``eval.runs`` as ``model.path``, or unchanged."""
    named = load_config(config, overrides, {"eval": EvalConfig})
    runs: Mapping[str, str] = named.section("eval").runs
    if not runs:
        loaded = load_config(config, overrides, SECTIONS)
        return {Path(loaded.section("model").path or "").name: loaded}
    model = named.flat.get("model")
    if isinstance(model, dict) and model.get("path") is not None:
        raise named.error(
            "model.path",
            f"got {model['path']!r} beside eval.runs, which names the runs; remove one of them.",
        )
    return {
        name: load_config(config, (*overrides, "--model.path", path), SECTIONS)
        for name, path in runs.items()
    }
