"""``adasr report``, ``sweep`` and ``corrections``: evaluated runs on one page, by arrival speed, by late corrections."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.cli.arguments import number
from adasr_trl.core.errors import UserError

if TYPE_CHECKING:
    from adasr_trl.report import Wanted


def add_report(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr report``."""
    parser.add_argument("--out", default="report.html", metavar="FILE", help="the page")
    _add_records(parser)
    parser.add_argument("--reference", default=None, help="the run that others are compared with")
    parser.add_argument(
        "--questions", type=int, default=2000, help="how many questions the viewer holds at most"
    )
    parser.add_argument("--title", help="of the page (else the verdict)")
    parser.set_defaults(execute=_execute)


def add_sweep(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr sweep``."""
    parser.add_argument("--out", default="sweep.md", metavar="FILE", help="the page")
    _add_records(parser)
    parser.add_argument(
        "--speeds",
        type=_positive,
        nargs="+",
        metavar="WPM",
        help="words a minute of the input; inf: all at once (default: 75 150 300 600 inf)",
    )
    parser.add_argument(
        "--budgets", type=int, nargs="+", default=[], metavar="TOKENS", help="caps of the deep part"
    )
    parser.set_defaults(execute=_sweep)


def add_corrections(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr corrections``."""
    parser.add_argument("--out", default="corrections.md", metavar="FILE", help="the page")
    _add_records(parser)
    parser.set_defaults(execute=_corrections, name="corrections")


def _add_records(parser: argparse.ArgumentParser) -> None:
    """Runs and their records, and the treatment of a file in the page's place."""
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file of --out, whatever it is"
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="evaluated runs, NAME=RUN, or a comparison's folder"
    )
    parser.add_argument(
        "--temperature", type=float, default=None, help="of the records (else the lowest recorded)"
    )
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME",
        help="these records, such as streaming-temperature-1; more than one may be given",
    )
    parser.add_argument(
        "--name", default=None, help="of the evaluation, for records in RUN/eval-NAME (eval.name)"
    )


def _execute(options: argparse.Namespace) -> int:
    from adasr_trl.report import Options, write_report

    of_page = (options.reference, options.questions, options.title, options.overwrite)
    how = Options(_wanted(options), *of_page)
    print(write_report(options.runs, Path(options.out), how))
    return 0


def _sweep(options: argparse.Namespace) -> int:
    from adasr_trl.artifacts.directory import is_loadable
    from adasr_trl.config.sections import ModelConfig
    from adasr_trl.core.files import write_text
    from adasr_trl.models.loading import load_policy
    from adasr_trl.report.gathering import check_out, gather
    from adasr_trl.report.sweep import SPEEDS, TITLE, markdown_of, sweep

    if low := [budget for budget in options.budgets if budget < 1]:
        raise UserError(f"--budgets: got {low[0]}; expected 1 or more.")
    check_out(Path(options.out), "sweep.md", TITLE, overwrite=options.overwrite)
    methods = gather(options.runs, _wanted(options))
    points = sweep(
        methods,
        tuple(dict.fromkeys(options.speeds or SPEEDS)),
        tuple(dict.fromkeys((None, *options.budgets))),
        lambda run: load_policy(ModelConfig(path=str(run))).codec if is_loadable(run) else None,
    )
    write_text(Path(options.out), markdown_of(points))
    print(options.out)
    return 0


def _corrections(options: argparse.Namespace) -> int:
    from adasr_trl.core.files import write_text
    from adasr_trl.report.corrections import TITLE, losses, markdown_of
    from adasr_trl.report.gathering import check_out, gather

    check_out(Path(options.out), "corrections.md", TITLE, overwrite=options.overwrite)
    text = markdown_of(losses(gather(options.runs, _wanted(options))))
    write_text(Path(options.out), text)
    print(text)
    return 0


def _wanted(options: argparse.Namespace) -> Wanted:
    from adasr_trl.report import Wanted

    return Wanted(tuple(options.setting), options.temperature, options.name)


def _positive(text: str) -> float:
    value = number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected above 0, or inf")
    return value
