"""A suite from its plan to its table.

    >>> evaluate(models, data, config, Existing.RESUME)
    PosixPath('runs/tiny/suite')

Records are made run by run, so that one model is in memory at a time, and read again one by one for the table.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from adasr_trl import __version__
from adasr_trl.artifacts import directory
from adasr_trl.config.eval_section import POOLED, EvalConfig
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.core.files import write_text
from adasr_trl.evaluation.clocks import Ticking, clocks_of
from adasr_trl.evaluation.judging import Judge
from adasr_trl.evaluation.page import Findings, markdown_of
from adasr_trl.evaluation.pairs import Difference, Kept, differences, keep
from adasr_trl.evaluation.records import Engines, Progress, record
from adasr_trl.evaluation.suite import DATA, TABLE, Row, Suite, plan_suite
from adasr_trl.evaluation.summary import Figures, Samples, figures_of

logger = logging.getLogger(__name__)


def evaluate(
    models: Mapping[str, ModelConfig],
    data: DataConfig,
    config: EvalConfig,
    existing: directory.Existing,
) -> Path:
    """Answer all questions with all runs, write the table, print it, and return its folder.

    Args:
        models: Name to finished run, and the precision to run it in.
        data: Where the main questions are.
        config: What is measured.
        existing: What to do with records that are there already.
    """
    suite = plan_suite(models, data, config)
    progress = Progress(sum(plan.left(existing) for plan in suite.plans.values()))
    for run in suite.runs:
        engines = Engines(models[run])
        for test in suite.tests:
            record(suite.plan(run, test), existing, engines, progress)
    digest = _digest(suite)
    if _is_current(suite, digest):
        logger.info("%s is complete", suite.output / TABLE)
        return suite.output
    findings = find(suite)
    text = markdown_of(suite, findings)
    write_text(suite.output / DATA, json.dumps(_plain(suite, findings, digest), indent=1) + "\n")
    write_text(suite.output / TABLE, text)
    sys.stdout.write(text + "\n")
    return suite.output


def find(suite: Suite) -> Findings:
    """Every number, from the records."""
    named = suite.config.named_clocks
    clocks = {run: clocks_of(suite.plan(run, suite.tests[0]).run, named) for run in suite.runs}
    tests = [*suite.tests, POOLED] if len(suite.tests) > 1 else [*suite.tests]
    figures: dict[str, dict[Row, Figures]] = {test: {} for test in tests}
    kept: dict[str, dict[Row, Kept]] = {test: {} for test in tests}
    for row in suite.rows:
        logger.info("reading the records of %s", row.label)
        judged = _judged(suite, row, clocks[row.run])
        if POOLED in figures:
            judged[POOLED] = [
                [each for test in suite.tests for each in judged[test][sample]]
                for sample in range(row.samples)
            ]
        for test, samples in judged.items():
            figures[test][row] = figures_of(samples, tuple(named), suite.config.resamples)
            kept[test][row] = keep(samples)
    return Findings(figures, _compare(kept, suite.config.resamples), clocks)


def _judged(suite: Suite, row: Row, clocks: Mapping[str, Ticking]) -> dict[str, Samples]:
    """The judged rollouts of one line, for each set of questions."""
    judges = {test: Judge(suite.plan(row.run, test), clocks) for test in suite.tests}
    return {test: [judge.read(each) for each in row.settings] for test, judge in judges.items()}


def _compare(kept: Mapping[str, Mapping[Row, Kept]], resamples: int) -> dict[str, list[Difference]]:
    found = {}
    for test, lines in kept.items():
        logger.info("comparing any two of %d lines on %s", len(lines), test)
        found[test] = differences(lines, resamples)
    return found


def _digest(suite: Suite) -> str:
    """Of all that the table depends on."""
    records = [
        [run, test, str(plan.run), plan.identity, [each.file for each in plan.settings]]
        for (run, test), plan in suite.plans.items()
    ]
    text = json.dumps([__version__, asdict(suite.config), records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_current(suite: Suite, digest: str) -> bool:
    """Whether the table is there already; one with measured clocks is always made anew."""
    data = suite.output / DATA
    measured = any(each.device == "measured" for each in suite.config.named_clocks.values())
    if measured or not (data.is_file() and (suite.output / TABLE).is_file()):
        return False
    return f'"digest": "{digest}"' in data.read_text(encoding="utf-8")


def _plain(suite: Suite, findings: Findings, digest: str) -> dict[str, object]:
    """The findings as JSON."""
    return {
        "digest": digest,
        "runs": {run: str(suite.plan(run, suite.tests[0]).run) for run in suite.runs},
        "tests": {
            test: str(suite.plan(suite.runs[0], test).questions.path) for test in suite.tests
        },
        "clocks": {
            run: {name: _ticking(each) for name, each in clocks.items()}
            for run, clocks in findings.clocks.items()
        },
        "rows": [
            {"test": test, **_row(row), **asdict(figures)}
            for test, lines in findings.figures.items()
            for row, figures in lines.items()
        ],
        "differences": [
            {
                "test": test,
                "first": _row(each.first),
                "second": _row(each.second),
                "points": asdict(each.points),
                "mcnemar": asdict(each.mcnemar),
                "tokens": each.tokens,
                "seconds": asdict(each.seconds),
            }
            for test, found in findings.differences.items()
            for each in found
        ],
    }


def _row(row: Row) -> dict[str, object]:
    setting = row.setting
    return {
        "run": row.run,
        "mode": setting.mode.value,
        "layout": setting.layout,
        "temperature": setting.temperature,
    }


def _ticking(ticking: Ticking) -> dict[str, object]:
    pace = asdict(ticking.pace) | {"times": ticking.pace.times.value}
    return {**asdict(ticking.clock), **pace}
