"""A suite from its plan to its table.

    >>> evaluate(models, data, config, Existing.RESUME)
    PosixPath('runs/tiny/suite')

Records are made run by run, so that one model is in memory at a time, and read again one by one for the table.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from adasr_trl import __version__
from adasr_trl.artifacts import directory
from adasr_trl.artifacts.digests import file_digest
from adasr_trl.artifacts.names import EPISODES_FILE, STREAMING_FILE
from adasr_trl.config.eval_section import POOLED, EvalConfig
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.core.episode import read_episodes
from adasr_trl.core.files import write_text
from adasr_trl.core.json_numbers import plain_numbers
from adasr_trl.evaluation.clocks import clocks_of
from adasr_trl.evaluation.outcome import Judge
from adasr_trl.evaluation.page import Findings, markdown_of, pairs_of
from adasr_trl.evaluation.plan import DATA, TABLE, EvaluationPlan, Suite, plan_suite
from adasr_trl.evaluation.records import (
    Progress,
    engines_of,
    load_outcomes,
    loaded_policy,
    record,
)
from adasr_trl.evaluation.settings import Condition
from adasr_trl.evaluation.summary import (
    QuestionValues,
    Runs,
    Summary,
    summarise_samples,
    values_by_question,
)

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
        config: The section of the configuration.
        existing: Treatment of records that are there already.
    """
    suite = roll_out(models, data, config, existing)
    if _is_current(suite):
        logger.info("%s is complete", suite.output / TABLE)
    else:
        write_table(suite, find(suite))
    return suite.output


def roll_out(
    models: Mapping[str, ModelConfig],
    data: DataConfig,
    config: EvalConfig,
    existing: directory.Existing,
) -> Suite:
    """The suite, with whole records of every setting; arguments as in ``evaluate``."""
    suite = plan_suite(models, data, config)
    _check_lengths(suite)
    progress = Progress(sum(plan.left(existing) for plan in suite.plans.values()))
    for run in suite.runs:
        engine_of = engines_of(suite.plans[run, suite.tests[0]])
        for test in suite.tests:
            record(suite.plans[run, test], existing, engine_of, progress)
    return suite


def write_table(suite: Suite, findings: Findings) -> None:
    """Write ``table.md`` and ``table.json`` into the suite's folder, and print the first."""
    text = markdown_of(suite, findings)
    plain = plain_numbers(_plain(suite, findings))
    written = json.dumps(plain, indent=1, default=lambda member: member.value, allow_nan=False)
    write_text(suite.output / DATA, written + "\n")
    write_text(suite.output / TABLE, text)
    sys.stdout.write(text + "\n")


def _check_lengths(suite: Suite) -> None:
    """Refuse questions that a run cannot read, before any is asked (UserError)."""
    from adasr_trl.models.loading import positions_of
    from adasr_trl.training.episode_checks import Limits, fitting_only

    for (run, _), plan in suite.plans.items():
        if not plan.missing:
            continue
        policy = loaded_policy(plan)
        limits = Limits(policy.streaming.max_prompt_tokens, positions_of(policy.config))
        questions = list(itertools.islice(read_episodes(plan.questions.path), plan.questions.count))
        way_out = f"Take them out of {plan.questions.path}, or measure a run with more positions than {run}"
        fitting_only(questions, policy.layout, policy.codec, limits, "refuse", None, way_out)


def find(suite: Suite) -> Findings:
    """Every number, from the records."""
    clocks, resamples = suite.config.named_clocks, suite.config.resamples
    plans = {run: suite.plans[run, suite.tests[0]] for run in suite.runs}
    of_runs = {run: clocks_of(plan.run, clocks) for run, plan in plans.items()}
    judges = {
        run: Judge(tuple(of_runs[run].values()), loaded_policy(plan).codec)
        for run, plan in plans.items()
    }
    summaries: dict[str, dict[Condition, Summary]] = defaultdict(dict)
    values: dict[str, dict[Condition, QuestionValues]] = defaultdict(dict)
    for condition in suite.conditions:
        logger.info("reading the records of %s", condition.label)
        for test, samples in _outcomes(suite, condition, judges[condition.run]).items():
            summaries[test][condition] = summarise_samples(samples, tuple(clocks), resamples)
            values[test][condition] = values_by_question(samples)
    pairs = {test: pairs_of(of_test, resamples) for test, of_test in values.items()}
    return Findings(summaries, pairs, of_runs)


def _outcomes(suite: Suite, condition: Condition, judge: Judge) -> dict[str, Runs]:
    """The outcomes of one row for each set of questions, and for all together if there are several."""
    outcomes: dict[str, Runs] = {}
    for test in suite.tests:
        folder = suite.plans[condition.run, test].folder
        outcomes[test] = [load_outcomes(folder, s, judge) for s in condition.settings]
    if len(suite.tests) > 1:
        by_sample = zip(*outcomes.values(), strict=True)
        outcomes[POOLED] = [[x for test in sample for x in test] for sample in by_sample]
    return outcomes


def _digest(suite: Suite) -> str:
    """Digest of all that the table depends on."""
    records = [
        [run, test, str(plan.run), plan.identity, _files(plan)]
        for (run, test), plan in suite.plans.items()
    ]
    text = json.dumps([__version__, asdict(suite.config), records], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _files(plan: EvaluationPlan) -> dict[str, str]:
    """Digests of the records, of their questions, and of the run's own clock."""
    files = [plan.folder / name for name in (EPISODES_FILE, *(s.file for s in plan.settings))]
    return {file.name: file_digest(file) for file in (*files, plan.run / STREAMING_FILE)}


def _is_current(suite: Suite) -> bool:
    """Whether the table is there already; one with measured clocks is always made anew."""
    data = suite.output / DATA
    measured = any(clock.device == "measured" for clock in suite.config.named_clocks.values())
    if measured or not (data.is_file() and (suite.output / TABLE).is_file()):
        return False
    return f'"digest": "{_digest(suite)}"' in data.read_text(encoding="utf-8")


def _plain(suite: Suite, findings: Findings) -> dict[str, object]:
    """The findings as JSON."""
    return {
        "digest": _digest(suite),
        "runs": {run: str(suite.plans[run, suite.tests[0]].run) for run in suite.runs},
        "tests": {
            test: str(suite.plans[suite.runs[0], test].questions.path) for test in suite.tests
        },
        "clocks": {
            run: {name: asdict(paced.clock) | asdict(paced.pace) for name, paced in clocks.items()}
            for run, clocks in findings.clocks.items()
        },
        "rows": [
            {"test": test, **_plain_condition(condition), **asdict(summary)}
            for test, by_condition in findings.summaries.items()
            for condition, summary in by_condition.items()
        ],
        "differences": [
            {
                "test": test,
                "first": _plain_condition(first),
                "second": _plain_condition(second),
                "points": asdict(difference.points),
                "mcnemar": asdict(difference.mcnemar),
                "tokens": difference.tokens.mean,
                "answer_latency_seconds": asdict(difference.answer_latency_seconds),
            }
            for test, pairs in findings.pairs.items()
            for (first, second), difference in pairs.items()
        ],
    }


def _plain_condition(condition: Condition) -> dict[str, object]:
    setting = asdict(condition.setting)
    return {
        "run": condition.run,
        **{key: setting[key] for key in ("mode", "layout", "thought_cap", "temperature")},
    }
