"""What a report reads of a run beside its rollouts: its clock and what it logged, with errors that name file and line."""

from __future__ import annotations

import json
import math
from pathlib import Path

from adasr_trl.artifacts.names import METRICS_FILE, STREAMING_FILE
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.clock import Clock
from adasr_trl.core.errors import UserError


def clock_of(run: Path) -> Clock:
    """The clock that a run is judged by."""
    try:
        return load_streaming(run).clock
    except UserError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{run / STREAMING_FILE}: not as a run writes it ({_said(error)})."
        ) from None


def read_metrics(run: Path) -> list[dict[str, float]]:
    """The finite numbers that a run logged, a line a time; nothing where it logged none.

    A last line without its end is left out: the run is being trained, or was killed.
    """
    file = run / METRICS_FILE
    if not file.is_file():
        return []
    whole = file.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    return [_numbers(file, n, line) for n, line in enumerate(whole.splitlines(), start=1)]


def _numbers(file: Path, number: int, line: str) -> dict[str, float]:
    try:
        logged = json.loads(line)
        found = {key: value for key, value in logged.items() if _is_number(value)}
    except (AttributeError, ValueError) as error:
        raise UserError(
            f"{file}:{number}: no line of metrics ({_said(error)}); mend it, or move the file aside."
        ) from None
    return found if "step" in found else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
