"""A suite of two runs and two sets of questions, as ``adasr eval`` takes it."""

from __future__ import annotations

import json

from adasr_trl.cli.main import main as adasr
from support import workspace

MODES = ["streaming", "forced_skip", "no_deep"]


def save(root, model=None, data=None, **changes):
    section = {
        "runs": {"one": str(root / "one"), "two": str(root / "two")},
        "run_modes": {"two": ["read_then_think"]},
        "tests": {"far": str(root / "far.jsonl")},
        "output_dir": str(root / "table"),
        "modes": MODES,
        "temperatures": [0.0, 1.0],
        "samples": 2,
        "resamples": 20,
        **changes,
    }
    files = {"train": str(root / "train.jsonl"), "test": str(root / "test.jsonl")}
    config = {
        "data": files | (data or {}),
        "eval": {key: value for key, value in section.items() if value is not None},
        **({"model": model} if model else {}),
    }
    workspace.save(root, "suite", config)


def run(root, *flags) -> int:
    return adasr(["eval", "--config", str(root / "suite.yaml"), *flags])


def table(root):
    return json.loads((root / "table" / "table.json").read_text(encoding="utf-8"))


def spoil(root, name, **keys):
    path = root / name / "streaming.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"clock": data["clock"] | keys}))
