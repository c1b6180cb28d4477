"""The model in the package: ``demo`` is a name wherever a run's directory is expected.

    >>> run_directory("demo")
    PosixPath('.../adasr_trl/demo')
    >>> run_directory("runs/tiny/seed-0/hrpo")
    PosixPath('runs/tiny/seed-0/hrpo')

It counts one person's things in short English stories (``demo/README.md``). Its files are never written to: records of an
evaluation go into a copy.
"""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from pathlib import Path

from adasr_trl.core.errors import UserError

DEMO = "demo"
FOLDER = Path(__file__).parent.parent / DEMO
MODEL_FILES = ("config.json", "adapter_config.json", "streaming.json")  # one of them makes a model
COPY = Path("runs") / "demo-copy"  # for results
_BESIDE = ("README.md", "episodes.jsonl")  # files of the package that change no answer
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
    """The same for results: a copy of the model in the package, made when it is first needed.

    Raises:
        UserError: The copy holds records, and a model that is not the package's.
    """
    path = run_directory(name)
    if path != FOLDER:
        return path
    changed = _changed(COPY)
    if not changed:
        return COPY
    own = {file.name for file in FOLDER.iterdir()}
    if COPY.exists() and any(file.name not in own for file in COPY.iterdir()):
        raise UserError(
            f"{COPY / changed[0]}: is not the package's, so the results in {COPY} are of another model; rename {COPY}, and "
            f"demo gets a new copy."
        )
    _copy()
    return COPY


def _changed(copy: Path) -> list[str]:
    """The files of the package's model that a copy lacks, or holds with other bytes."""
    names = sorted(file.name for file in FOLDER.iterdir() if file.name not in _BESIDE)
    _, other, missing = filecmp.cmpfiles(FOLDER, copy, names, shallow=False)
    return other + missing


def _copy() -> None:
    """Put a whole copy in place of what stands there, in one step; another process may do the same."""
    COPY.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{COPY.name}-", dir=COPY.parent) as folder:
        whole = shutil.copytree(FOLDER, Path(folder) / COPY.name)
        if COPY.exists():
            COPY.replace(Path(folder) / "before")
        try:
            whole.rename(COPY)
        except OSError:
            if _changed(COPY):
                raise
