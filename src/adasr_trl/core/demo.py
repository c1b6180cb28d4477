"""The model in the package: ``demo`` is a name wherever a run's directory is expected.

    >>> run_directory("demo")
    PosixPath('.../adasr_trl/demo')
    >>> run_directory("runs/tiny/seed-0/hrpo")
    PosixPath('runs/tiny/seed-0/hrpo')

It counts one person's things in short English stories (``demo/README.md``). Its files are never written to: records of an
evaluation go into a copy.
"""

from __future__ import annotations

import shutil
from pathlib import Path

DEMO = "demo"
FOLDER = Path(__file__).parent.parent / DEMO
MODEL_FILES = ("config.json", "adapter_config.json", "streaming.json")  # one of them makes a model
COPY = Path("runs") / "demo-copy"  # for results
QUESTION = "How many marbles does Nina have now?"
STORY = (
    "Nina has 7 marbles. Her brother gives her five more. It starts to rain. She loses 2 marbles on the way home. "
    "Oh wait, she loses 3 marbles, not 2. Paul has 4 marbles."
)


def run_directory(name: str | Path) -> Path:
    """A run's directory by its name; a model in a directory called ``demo`` comes before the one in the package."""
    path = Path(name)
    if path != Path(DEMO) or any((path / file).is_file() for file in MODEL_FILES):
        return path
    return FOLDER


def recorded_name(path: str) -> str:
    """The name of a model in a run's records: the package may lie elsewhere when they are read."""
    return DEMO if path == str(FOLDER) else path


def results_directory(name: str | Path) -> Path:
    """The same for results: a copy of the model in the package, made when it is first needed."""
    path = run_directory(name)
    if path != FOLDER:
        return path
    if not COPY.exists():
        shutil.copytree(FOLDER, COPY)
    return COPY
