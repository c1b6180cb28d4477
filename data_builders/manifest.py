"""The manifest of a build: what was built from what, and whether it still holds.

    {"format": 1, "builder": "gsm8k", "options": {...}, "input_sha256": "...", "code_sha256": "...",
     "source": {...}, "files": {"train.jsonl": {"episodes": 1801, "sha256": "..."}, ...},
     "rejected": {"total": 1, "by_reason": {"bad_gold": 1}, "rows": [...]}, "counts": {...}, "statistics": {...}}

A build is current if the same builder would read the same input with the same options and code, and its files are
unchanged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from adasr_trl import answers, chunking, episode
from adasr_trl.clock import Clock, arrivals
from adasr_trl.episode import Episode
from data_builders.rows import sha256_of
from data_builders.source import BuildError, Rejected

FORMAT = 1
FILE_NAME = "manifest.json"
_NOT_PART = (
    "out",
    "input",
    "overwrite",
    "refresh",
)  # of what is built; the input counts by its hash


def identity(builder: str, options: argparse.Namespace) -> dict[str, Any]:
    """All that decides what a build holds; reads the input once for its hash."""
    given = vars(options)
    path = given.get("input")
    kept = {name: value for name, value in sorted(given.items()) if name not in _NOT_PART}
    return {
        "format": FORMAT,
        "builder": builder,
        "options": kept,
        "input": path.name if path else given.get("hub"),
        "input_sha256": sha256_of(path) if path else None,
        "code_sha256": _code_sha256(),
    }


def describe(
    parts: Mapping[str, Sequence[Episode]],
    files: Mapping[str, Mapping[str, object]],
    rejected: Sequence[Rejected],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """What a finished build holds, to be written behind its identity."""
    episodes = [episode for part in parts.values() for episode in part]
    source = episodes[0].source
    return {
        "source": {"name": source.name, "revision": source.revision, "licence": source.licence},
        "files": files,
        "rejected": {
            "total": len(rejected),
            "by_reason": dict(sorted(Counter(row.reason for row in rejected).items())),
            "rows": [asdict(row) for row in rejected],
        },
        "counts": dict(sorted(counts.items())),
        "statistics": statistics(episodes),
    }


def statistics(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Figures over all episodes of a build; there is at least one."""
    clock = Clock()
    thoughts = [thought for episode in episodes for thought in episode.thoughts or ()]
    traced = sum(episode.thoughts is not None for episode in episodes)
    return {
        "trace_share": round(traced / len(episodes), 4),
        "skip_share": round(sum(not t for t in thoughts) / len(thoughts), 4) if thoughts else None,
        "chunks": _mean_and_max([len(episode.chunks) for episode in episodes]),
        "stream_seconds": _mean_and_max([arrivals(episode, clock)[-1] for episode in episodes]),
        "words_per_minute": clock.words_per_minute,
        "answer_types": dict(sorted(Counter(e.answer_type.value for e in episodes).items())),
        "groups": len({episode.group for episode in episodes}),
    }


def read_manifest(out: Path) -> dict[str, Any] | None:
    """The manifest in ``out``; None where there is none that this program wrote."""
    try:
        manifest = json.loads((out / FILE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "builder" in manifest else None


def is_current(out: Path, manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether ``out`` holds, unchanged, what a build would write."""
    wanted = json.loads(json.dumps(wanted))
    if any(manifest.get(key) != value for key, value in wanted.items()):
        return False
    try:
        return all(
            sha256_of(out / name) == file["sha256"] for name, file in manifest["files"].items()
        )
    except (BuildError, KeyError, TypeError, AttributeError):
        return False


def _mean_and_max(values: Sequence[float]) -> dict[str, float]:
    return {"mean": round(sum(values) / len(values), 2), "max": round(max(values), 2)}


def _code_sha256() -> str:
    """The hash of every file that decides what an episode becomes."""
    modules: tuple[ModuleType, ...] = (answers, chunking, episode)
    shared = [Path(str(module.__file__)) for module in modules]
    return _sha256([*sorted(Path(__file__).parent.glob("*.py")), *shared])


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()
