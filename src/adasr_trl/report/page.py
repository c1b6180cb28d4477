"""The page itself: a template with everything in it, and a policy that lets it connect to nothing.

    >>> write_report(["runs/tiny"], Path("report.html"))
    PosixPath('report.html')

Text of episodes and rollouts goes in as JSON, and the script only ever puts it on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from adasr_trl import __version__
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text
from adasr_trl.core.json_numbers import plain_numbers
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.tables import table
from adasr_trl.report.charts import latency_chart, length_chart, training_charts
from adasr_trl.report.gathering import Method, Wanted, check_out, gather, reference_of
from adasr_trl.report.headline import facts, verdict
from adasr_trl.report.sweep_charts import sweep_charts
from adasr_trl.report.trajectories import trajectories

logger = logging.getLogger(__name__)

LARGE = 15_000_000
MARK = "<footer><p>Made by adasr-trl "  # of every page, by the template
SCRIPTS = ("timeline.js", "choosing.js")
COLUMNS = (
    *(columns.ACCURACY, *columns.TOKENS, columns.SKIP_RATE, columns.ANSWERED),
    columns.BACKLOG,
)
DIFFERENCES = (
    *(columns.POINTS, columns.MORE_TOKENS, columns.MORE_LATENCY),
    *(columns.WON_LOST, columns.P_VALUE),
)


@dataclass(frozen=True)
class Options:
    """Options of a report."""

    wanted: Wanted = field(default_factory=Wanted)  # its records
    reference: str | None = None  # None: SFT, else the first method
    questions: int = 2_000  # largest number of questions in the viewer
    title: str | None = None  # title of the page; None: the verdict
    overwrite: bool = False  # whether the page replaces a file that is no report


def write_report(runs: Sequence[str], out: Path, options: Options | None = None) -> Path:
    """Write the page; no model is loaded.

    Raises:
        UserError: Runs that cannot be reported together, a file that is no report in the page's place, or a missing library.
    """
    options = options or Options()
    check_out(out, "report.html", MARK, overwrite=options.overwrite)
    if options.questions < 1:
        raise UserError(f"--questions: got {options.questions}; expected 1 or more.")
    page = _render(gather(runs, options.wanted), options)
    write_text(out, page)
    if len(page) > LARGE:
        logger.warning(
            "%s: %.0f MB, which opens slowly; --questions %d would be smaller",
            out, len(page) / 1e6, options.questions // 2,
        )  # fmt: skip
    return out


def _render(methods: Sequence[Method], options: Options) -> str:
    jinja2 = _jinja2()
    reference = reference_of(methods, options.reference)
    rows = [((method.name,), method.summary) for method in methods]
    others = [method for method in methods if method is not reference]
    differences = [((_compared(method, reference),), method.minus(reference)) for method in others]
    seconds = (*columns.latencies(summary for _, summary in rows), columns.LATENCY_P95)
    script = "\n".join(_asset(name) for name in SCRIPTS)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    first, rest = verdict(methods)
    page: str = environment.get_template("report.html.j2").render(
        title=options.title or first,
        verdict=[first, rest] if options.title else [rest],
        facts=facts(methods),
        policy=_policy(script),
        style=_asset("report.css"),
        script=script,
        methods=table(("method",), rows, (*COLUMNS, *seconds, columns.OVERLAP)),
        differences=table((f"minus {reference.name}",), differences, DIFFERENCES),
        scatter=latency_chart(methods),
        bars=length_chart(methods),
        speeds=sweep_charts(methods),
        curves=training_charts(methods),
        data=_json(trajectories(methods, reference, options.questions)),
        version=__version__,
    )
    return page


def _compared(method: Method, reference: Method) -> str:
    """The method's name, with the number of seeds that are compared where some are left out."""
    paired = len(method.pairs(reference))
    is_whole = paired == len(method.runs) == len(reference.runs)
    return method.name if is_whole else f"{method.name} ({paired} seed{'s' * (paired > 1)} paired)"


def _jinja2() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise UserError(
            f"report: {error.name} is not installed; pip install 'adasr-trl[report]'."
        ) from None
    return jinja2


def _asset(name: str) -> str:
    return files("adasr_trl.report").joinpath("assets", name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        f"base-uri 'none'; form-action 'none'"
    )


def _json(data: object) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(
        plain_numbers(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
