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

from adasr_trl.core.files import write_text


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
        write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))

    def append(self, step: int, record: Mapping[str, Any]) -> None:
        """Add one record."""
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"step": step, **record}) + "\n")

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole record; a killed or running training leaves a part of one at the end."""
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield json.loads(line)
