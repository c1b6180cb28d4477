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
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import write_text
from adasr_trl.evaluation.records import Setting
from adasr_trl.evaluation.tables import decoding
from adasr_trl.report.gathering import Method, Wanted, gather
from adasr_trl.report.numbers import Difference, Line, differences_of, lines_of, load, reference_of
from adasr_trl.report.records import clock_of
from adasr_trl.report.trajectories import trajectories

logger = logging.getLogger(__name__)

LARGE = 15_000_000
SCRIPTS = ("timeline.js", "choosing.js")
HEADER = (
    *("method", "accuracy (95 %)", "streaming tokens", "deep tokens", "total tokens", "skip rate"),
    *("answered", "backlog, s", "wait, median s", "wait, 95th percentile s", "overlap"),
)
DIFFERENCE_HEADER = (
    *("minus {reference}", "accuracy, points", "total tokens", "wait, s"),
    *("right alone / wrong alone", "McNemar p"),
)


@dataclass(frozen=True)
class Options:
    """How a report is made.

    Attributes:
        wanted: Which records.
        reference: The method that others are compared with; SFT, else the first, if None.
        questions: How many questions the viewer holds at most.
        title: Of the page.
    """

    wanted: Wanted = field(default_factory=Wanted)
    reference: str | None = None
    questions: int = 2_000
    title: str = "Streaming reasoning"


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

    outcomes = load(methods)
    reference = reference_of(outcomes, options.reference)
    lines = lines_of(outcomes)
    differences = differences_of(methods, outcomes, reference)
    script = "\n".join(_asset(name) for name in SCRIPTS)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page: str = environment.from_string(_asset("report.html.j2")).render(
        title=options.title,
        about=_about(methods, lines),
        policy=_policy(script),
        style=_asset("report.css"),
        script=script,
        header=HEADER,
        lines=[_cells(line) for line in lines],
        difference_header=[each.format(reference=reference) for each in DIFFERENCE_HEADER],
        differences=[_difference_cells(each) for each in differences],
        pictures=[pareto(lines), lengths(lines), *curves(methods)],
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


def _about(methods: Sequence[Method], lines: Sequence[Line]) -> list[str]:
    seeds = sorted({line.seeds for line in lines})
    asked = lines[0].summary.n // lines[0].seeds
    plural = "" if seeds == [1] else "s"
    return [
        f"{asked:,} questions, {' to '.join(map(str, seeds[:: max(1, len(seeds) - 1)]))} seed{plural} a method.",
        f"Mode: {'; '.join(_groups(methods, lambda method: _asked(method.setting)))}.",
        f"The wait is the clock's: {'; '.join(_groups(methods, _clock))}.",
        "Overlap is the share of the time spent writing that was hidden behind reading.",
    ]


def _groups(methods: Sequence[Method], fact: Callable[[Method], str]) -> list[str]:
    """Each fact once, with the names of its methods where there is more than one fact."""
    facts: dict[str, list[str]] = {}
    for method in methods:
        facts.setdefault(fact(method), []).append(method.name)
    if len(facts) == 1:
        return list(facts)
    return [f"{said} ({' / '.join(names)})" for said, names in facts.items()]


def _asked(setting: Setting) -> str:
    layout = f", {setting.layout} layout" if setting.layout else ""
    return f"{setting.mode.value.replace('_', '-')}{layout}, {decoding(setting.temperature)}"


def _clock(method: Method) -> str:
    clock = clock_of(method.runs[0])
    return (
        f"the input at {clock.words_per_minute:g} words a minute, "
        f"{1000 * clock.seconds_per_token:g} ms a written token, "
        f"{1000 * clock.prefill_seconds_per_token:g} ms a read token"
        + (f" and {1000 * clock.seconds_per_read:g} ms a chunk" if clock.seconds_per_read else "")
    )


def _cells(line: Line) -> list[str]:
    s = line.summary
    return [
        line.name,
        f"{line.accuracy:.3f}",
        f"{s.streaming_tokens:.1f}",
        f"{s.deep_tokens:.1f}",
        f"{s.total_tokens:.1f}",
        f"{s.skip_rate:.2f}",
        f"{s.answered:.3f}",
        f"{s.backlog_seconds:.2f}",
        f"{s.latency_median:.2f}",
        f"{s.latency_p95:.2f}",
        f"{s.overlap:.2f}",
    ]


def _difference_cells(each: Difference) -> list[str]:
    return [
        each.name,
        f"{each.points:+.1f}",
        f"{each.tokens:+.1f}",
        f"{each.latency:+.2f}",
        f"{each.test.n01} / {each.test.n10}",
        f"{each.test.p:.2g}",
    ]
