"""JSON Lines of a training run, records by step; a resumed run repeats none.

>>> lines = StepLines(Path("runs/tiny/hrpo/metrics.jsonl"))
>>> lines.rewind(40)                     # the run resumes from its checkpoint of step 40
>>> lines.append(41, {"loss": 0.5})
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adasr_trl.core.errors import UserError
from adasr_trl.core.files import appender, write_text
from adasr_trl.core.json_numbers import plain_numbers


class StepLines:
    """The file at ``path``."""

    def __init__(self, path: Path) -> None:
        """Nothing is written yet."""
        self.path = path

    def rewind(self, step: int) -> None:
        """Drop the records behind ``step``, which the resumed run makes again."""
        if not self.path.is_file():
            return
        kept = [record for record in self.read() if record["step"] <= step] if step > 0 else []
        write_text(self.path, "".join(map(_line, kept)))

    def append(self, step: int, record: Mapping[str, Any]) -> None:
        """Add one record."""
        with appender(self.path) as out:
            out.write(_line({"step": step, **record}))

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole record; a killed or running training leaves a part of one at the end.

        Raises:
            UserError: Another line is damaged.
        """
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.endswith(b"\n"):
                    yield self._record(line, number)

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
            if isinstance(record["step"], int):
                return dict(record)
            reason = f"step is {record['step']!r}"
        except (ValueError, LookupError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise UserError(
            f"{self.path}:{number}: no record of a step ({reason}); fix the line, or move the file aside."
        )


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(plain_numbers(dict(record)), allow_nan=False) + "\n"
