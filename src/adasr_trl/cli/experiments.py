"""``adasr compare`` and ``adasr ablate``: runs over seeds and the tables that compare them."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adasr_trl.cli.arguments import add_config, add_layout
from adasr_trl.cli.evaluate import check_eval
from adasr_trl.cli.prepare import prepare
from adasr_trl.config.values import ConfigError

if TYPE_CHECKING:
    from adasr_trl.experiments.stages import Stage


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr compare``."""
    parser.epilog = "--STAGE.KEY value overrides a stage's file, such as --hrpo.learning_rate 1e-5."
    parser.add_argument(
        "--variants", default="hrpo", help="which RL runs: hrpo, grpo, or both (hrpo,grpo)"
    )
    _add_stages(parser)
    parser.set_defaults(execute=_compare)


def add_ablate(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr ablate``."""
    parser.epilog = "The file's grid is fixed: no --key value."
    _add_stages(parser)
    parser.add_argument("--tables", help="only these, with commas between; else all of the file")
    parser.add_argument(
        "--tables-only", action="store_true", help="from the records, running nothing"
    )
    parser.add_argument("--page", metavar="FILE", help="put each table into its place in this page")
    parser.set_defaults(execute=_ablate)


def _add_stages(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    add_layout(parser, "the layout of every stage, else the files'; parallel has runs of its own")
    parser.add_argument("--quick", action="store_true", help="few steps and questions")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="stages at once")


def check_stages(stages: Sequence[Stage]) -> None:
    """Refuse a setting that a stage would refuse hours later, without torch.

    Raises:
        ConfigError: The first of them, with the stage's name.
    """
    logging.disable(logging.WARNING)  # a stage says it, when it runs
    try:
        for stage in stages:
            try:
                if stage.command == "eval":
                    check_eval(stage.config, stage.overrides)
                else:
                    prepare(stage.config, stage.overrides, stage.command).refuse_unknown()
            except ConfigError as error:
                raise ConfigError(f"{stage.name}: {error}") from None
    finally:
        logging.disable(logging.NOTSET)


def _compare(options: argparse.Namespace) -> int:
    from adasr_trl.experiments.grid import compare

    return compare(options, options.overrides, check_stages)


def _ablate(options: argparse.Namespace) -> int:
    from adasr_trl.experiments.grid import ablate

    return ablate(options, options.overrides, check_stages)
