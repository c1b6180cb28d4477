"""``adasr report``: evaluated runs on one self-contained page."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_report(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="evaluated runs, NAME=RUN, or a comparison's folder"
    )
    parser.add_argument("--out", default="report.html", metavar="FILE", help="the page")
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
    parser.add_argument("--reference", default=None, help="the run that others are compared with")
    parser.add_argument(
        "--questions", type=int, default=2000, help="how many questions the viewer holds at most"
    )
    parser.add_argument("--title", help="of the page (else the verdict)")
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    from adasr_trl.report import Options, Wanted, write_report

    wanted = Wanted(tuple(options.setting), options.temperature, options.name)
    how = Options(wanted, options.reference, options.questions, options.title)
    print(write_report(options.runs, Path(options.out), how))
    return 0
