"""The page itself: a template with everything in it, and a policy that lets it connect to nothing.

    >>> write_report(["runs/tiny"], Path("report.html"))
    PosixPath('report.html')

Text of episodes and rollouts goes in as JSON, and the script only ever puts it on the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from adasr_trl import __version__
from adasr_trl.files import UserError, write_text
from adasr_trl.metrics import Interval
from adasr_trl.report.gathering import Method, gather
from adasr_trl.report.numbers import Difference, Line, differences_of, lines_of, load, reference_of
from adasr_trl.report.trajectories import trajectories
from adasr_trl.streaming_file import load_streaming
from adasr_trl.table import decoding

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
        temperature: Of the records; the lowest recorded one if None.
        reference: The method that others are compared with; SFT, else the first, if None.
        questions: How many questions the viewer holds at most.
        title: Of the page.
    """

    temperature: float | None = None
    reference: str | None = None
    questions: int = 2_000
    title: str = "Streaming reasoning"


def write_report(runs: Sequence[str], out: Path, options: Options | None = None) -> Path:
    """Write the page; no model is loaded.

    Raises:
        UserError: Runs that cannot be reported together, or a missing library.
    """
    options = options or Options()
    write_text(out, _render(gather(runs, options.temperature), options))
    return out


def _render(methods: Sequence[Method], options: Options) -> str:
    jinja2 = _jinja2()
    from adasr_trl.report.pictures import curves, lengths, pareto

    outcomes = load(methods)
    reference = reference_of(outcomes, options.reference)
    lines = lines_of(outcomes)
    differences = differences_of(outcomes, reference)
    script = _asset("report.js")
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
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _json(data: object) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _about(methods: Sequence[Method], lines: Sequence[Line]) -> list[str]:
    clock = load_streaming(methods[0].runs[0]).clock
    seeds = {line.seeds for line in lines}
    asked = lines[0].summary.n // lines[0].seeds
    return [
        f"{asked} questions, {max(seeds)} seed{'s' if max(seeds) > 1 else ''}, "
        f"{decoding(methods[0].setting.temperature)}.",
        f"The wait is the clock's: the input at {clock.words_per_minute:g} words a minute, "
        f"{1000 * clock.seconds_per_token:g} ms a written token, "
        f"{1000 * clock.prefill_seconds_per_token:g} ms a read token.",
        "Overlap is the share of the time spent writing that was hidden behind reading.",
    ]


def _cells(line: Line) -> list[str]:
    s = line.summary
    return [
        line.name,
        f"{line.accuracy.mean:.3f} ({line.accuracy.low:.3f} to {line.accuracy.high:.3f})",
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
        _signed(each.points, 1),
        _signed(each.tokens, 1),
        _signed(each.latency, 2),
        f"{each.test.n01} / {each.test.n10}",
        f"{each.test.p:.2g}",
    ]


def _signed(interval: Interval, digits: int) -> str:
    return (
        f"{interval.mean:+.{digits}f} ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"
    )
