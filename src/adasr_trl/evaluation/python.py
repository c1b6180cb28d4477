"""Evaluation from Python: the records and table of ``adasr eval`` for one run, and its figures.

>>> figures = evaluate("runs/mine", rows)["streaming-temperature-0"]
>>> figures.accuracy.mean, figures.latency.answer_latency_seconds.mean
(0.82, 0.31)
>>> config = EvalConfig(tests={"far": "far.jsonl"}, clocks={"hasty": ClockSection(words_per_minute=450)}, samples=4)
>>> figures = evaluate("runs/mine", rows, config)["far/streaming-temperature-1"]
>>> figures.pass_at[4], figures.clocks["hasty"].answer_latency_seconds.mean
(0.9, 0.84)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.directory import Existing
from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.core.demo import results_directory
from adasr_trl.core.episode import write_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.files import make_folder
from adasr_trl.evaluation.pretrained import pretrained_of
from adasr_trl.evaluation.run import find, roll_out, write_table
from adasr_trl.evaluation.summary import Summary
from adasr_trl.training.episode_rows import as_episodes

QUESTIONS_FILE = "questions.jsonl"  # questions that were given as rows


def evaluate(
    run: str | Path, questions: Any, config: EvalConfig | None = None
) -> Mapping[str, Summary]:
    """Ask a run every question, record the rollouts in ``RUN/eval`` and print the table.

    Args:
        run: A run's directory, a model saved by a trainer here, or ``demo``, whose records go into a copy. For ``zero_shot``
            a pretrained chat model, whose records go into ``config.output_dir``.
        questions: Unseen rows (``training.episode_rows``), or the path of a JSON Lines file of episodes.
        config: The section ``eval``; greedy and sampled streaming by default.

    Returns:
        The table's figures of each setting, by names such as ``streaming-temperature-0``, all samples and clocks in them.
        Those on further sets of questions (``tests``) are named ``SET/SETTING``, those on all of them ``all/SETTING``.

    Raises:
        UserError: No finished run, rows that are no episodes, or several ``runs``.
    """
    folder, config = results_directory(run), config or EvalConfig()
    if config.runs:
        raise UserError(
            "eval.runs: has no effect in evaluate, which asks one run; call it once a run, or use adasr eval."
        )
    name, model = folder.name, ModelConfig(path=str(folder))
    if (pretrained := pretrained_of(name, model, config)) is not None:
        folder = pretrained.folder
        make_folder(folder)
    path = Path(questions) if isinstance(questions, str | Path) else folder / QUESTIONS_FILE
    if not isinstance(questions, str | Path):
        write_episodes(path, as_episodes(questions, "test", "questions").episodes)
    data = DataConfig(train=str(path), test=str(path))
    suite = roll_out({name: model}, data, config, Existing.REFRESH)
    findings = find(suite)
    write_table(suite, findings)
    folders = {test: "" if test == config.main_test else f"{test}/" for test in findings.summaries}
    return {
        folders[test] + condition.setting.name: summary
        for test, summaries in findings.summaries.items()
        for condition, summary in summaries.items()
    }
