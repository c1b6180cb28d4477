"""Reading of JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def json_lines(path: Path) -> list[Any]:
    """Each line's value; lines end in a line feed only."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
