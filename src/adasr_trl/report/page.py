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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from adasr_trl import __version__
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text
from adasr_trl.evaluation import tables as columns
from adasr_trl.evaluation.clocks import rates
from adasr_trl.evaluation.tables import table
from adasr_trl.report.gathering import Method, Wanted, gather, reference_of
from adasr_trl.report.trajectories import trajectories

logger = logging.getLogger(__name__)

LARGE = 15_000_000
SCRIPTS = ("timeline.js", "choosing.js")
SECONDS = (columns.BACKLOG, columns.LATENCY_MEDIAN, columns.LATENCY_P95)
COLUMNS = (
    *(columns.ACCURACY, *columns.TOKENS, columns.SKIP_RATE, columns.ANSWERED),
    *(*SECONDS, columns.OVERLAP),
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
    title: str = "Streaming reasoning"  # title of the page


def write_report(runs: Sequence[str], out: Path, options: Options | None = None) -> Path:
    """Write the page; no model is loaded.

    Raises:
        UserError: Runs that cannot be reported together, or a missing library.
    """
    options = options or Options()
    if out.is_dir():
        raise UserError(f"--out: {out} is a folder; name a file, such as {out / 'report.html'}.")
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
    from adasr_trl.report.pictures import curves, lengths, pareto

    reference = reference_of(methods, options.reference)
    rows = [((method.name,), method.summary) for method in methods]
    others = [method for method in methods if method is not reference]
    differences = [((method.name,), method.minus(reference)) for method in others]
    script = "\n".join(_asset(name) for name in SCRIPTS)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page: str = environment.from_string(_asset("report.html.j2")).render(
        title=options.title,
        about=_about(methods),
        policy=_policy(script),
        style=_asset("report.css"),
        script=script,
        methods=table(("method",), rows, COLUMNS),
        differences=table((f"minus {reference.name}",), differences, DIFFERENCES),
        pictures=[pareto(methods), lengths(methods), *curves(methods)],
        data=_json(trajectories(methods, options.questions)),
        version=__version__,
    )
    return page


def _jinja2() -> Any:
    try:
        import jinja2
        import matplotlib  # noqa: F401  # what the pictures need, before any work is done
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
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _about(methods: Sequence[Method]) -> list[str]:
    seeds = sorted({len(method.runs) for method in methods})
    counts = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
    return [
        f"{methods[0].summary.questions:,} questions, {counts} seed{'' if seeds == [1] else 's'} a method.",
        f"Mode: {'; '.join(_groups(methods, _asked))}.",
        f"The answer latency is the clock's: {'; '.join(_groups(methods, _clock))}.",
        "Overlap is the share of the time spent writing that was hidden behind reading.",
    ]


def _groups(methods: Sequence[Method], fact: Callable[[Method], str]) -> list[str]:
    """Each fact once, with the names of its methods where there is more than one fact."""
    facts: dict[str, list[str]] = {}
    for method in methods:
        facts.setdefault(fact(method), []).append(method.name)
    if len(facts) == 1:
        return list(facts)
    return [f"{text} ({' / '.join(names)})" for text, names in facts.items()]


def _asked(method: Method) -> str:
    return f"{method.setting.mode_words}, {method.setting.decoding}"


def _clock(method: Method) -> str:
    clock = load_streaming(method.runs[0]).clock
    return f"the input at {clock.words_per_minute:g} words a minute, {rates(clock)}"
