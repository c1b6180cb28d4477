"""Evaluation from Python: the records and table of ``adasr eval`` for one run, and its figures.

>>> figures = evaluate("runs/mine", rows)["streaming-temperature-0"]
>>> figures.accuracy.mean, figures.latency.answer_latency_seconds.mean
(0.82, 0.31)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adasr_trl.artifacts.directory import Existing
from adasr_trl.artifacts.names import eval_folder
from adasr_trl.config.eval_section import EvalConfig
from adasr_trl.config.sections import DataConfig, ModelConfig
from adasr_trl.core.demo import results_directory
from adasr_trl.core.episode import write_episodes
from adasr_trl.evaluation import run as suite
from adasr_trl.evaluation.pretrained import pretrained_of
from adasr_trl.evaluation.records import load_outcomes
from adasr_trl.evaluation.settings import recorded_settings
from adasr_trl.evaluation.summary import Summary, summarise_seeds
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
        The figures of each setting, by names such as ``streaming-temperature-0``.

    Raises:
        UserError: No finished run, or rows that are no episodes.
    """
    folder, config = results_directory(run), config or EvalConfig()
    name, model = folder.name, ModelConfig(path=str(folder))
    if (pretrained := pretrained_of(name, model, config)) is not None:
        folder = pretrained.folder
        folder.mkdir(parents=True, exist_ok=True)
    path = Path(questions) if isinstance(questions, str | Path) else folder / QUESTIONS_FILE
    if not isinstance(questions, str | Path):
        write_episodes(path, as_episodes(questions, "test", "questions").episodes)
    data = DataConfig(train=str(path), test=str(path))
    suite.evaluate({name: model}, data, config, Existing.REFRESH)
    records = folder / eval_folder(config.name)
    return {
        setting.name: summarise_seeds([load_outcomes(records, setting)])
        for setting in recorded_settings(records)
    }
