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
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from adasr_trl.core import answers, chunking, clock, episode, protocol
from data_builders.errors import BuildError
from data_builders.pipeline.parts import CLOCK, Entry
from data_builders.rows.inputs import sha256_of
from data_builders.rows.outcome import Rejected

FORMAT = 1
FILE_NAME = "manifest.json"
MOST_LISTED = 1000  # rejected rows that a manifest names; all are counted
_NOT_PART = (
    "out",
    "input",
    "overwrite",
    "refresh",
    "processes",
    "ephemeral",
    "input_sha256",
    "revision_read",
)  # of what is built; the input counts by its hash


def identity(builder: str, options: argparse.Namespace) -> dict[str, Any]:
    """All that decides what a build holds."""
    given = vars(options)
    path = given.get("input")
    kept = {name: _plain(value) for name, value in sorted(given.items()) if name not in _NOT_PART}
    if given.get("tokenizer") and Path(given["tokenizer"]).exists():
        kept["tokenizer"] = _plain(Path(given["tokenizer"]))
    return {
        "format": FORMAT,
        "builder": builder,
        "options": kept,
        "input": path.name if path else given.get("hub"),
        "input_sha256": given.get("input_sha256"),
        "code_sha256": _code_sha256(),
    }


def fill_revision(options: argparse.Namespace) -> None:
    """Note the revision as given; else the file's hash, so that episodes and manifest name what was read."""
    given = vars(options)
    if "licence" not in given:
        return  # a source that makes its rows
    path = given.get("input")
    hashed = sha256_of(path) if path else None
    options.input_sha256 = hashed
    options.revision_read = given.get("revision") or (
        f"sha256:{hashed[:16]}"
        if hashed
        else "main"
        if given.get("hub")
        else f"seed {options.seed}"
    )


@dataclass
class Figures:
    """Figures over all episodes of a build, added up one by one."""

    episodes: int = 0
    traced: int = 0
    thoughts: int = 0
    skips: int = 0
    chunks: int = 0
    most_chunks: int = 0
    seconds: float = 0.0
    most_seconds: float = 0.0
    answer_types: Counter[str] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        """Add one episode."""
        self.episodes += 1
        self.traced += entry.is_traced
        self.thoughts += entry.thoughts
        self.skips += entry.skips
        self.chunks += entry.chunks
        self.most_chunks = max(self.most_chunks, entry.chunks)
        self.seconds += entry.seconds
        self.most_seconds = max(self.most_seconds, entry.seconds)
        self.answer_types[entry.answer_type] += 1
        self.groups.add(entry.group)

    def describe(self) -> dict[str, Any]:
        """As the manifest shows them; there is at least one episode."""
        count = self.episodes
        return {
            "trace_share": round(self.traced / count, 4),
            "skip_share": round(self.skips / self.thoughts, 4) if self.thoughts else None,
            "chunks": {"mean": round(self.chunks / count, 2), "max": self.most_chunks},
            "stream_seconds": {
                "mean": round(self.seconds / count, 2),
                "max": round(self.most_seconds, 2),
            },
            "words_per_minute": CLOCK.words_per_minute,
            "answer_types": dict(sorted(self.answer_types.items())),
            "groups": len(self.groups),
        }


class Total(Protocol):
    """What the parts of a build add up to."""

    counts: Counter[str]
    reasons: Counter[str]
    trace_reasons: Counter[str]
    listed: list[Rejected]
    source: tuple[str, str, str] | None


def describe(
    total: Total, files: Mapping[str, Mapping[str, object]], figures: Figures
) -> dict[str, Any]:
    """What a finished build holds, to be written behind its identity."""
    name, revision, licence = total.source or ("", "", "")
    return {
        "source": {"name": name, "revision": revision, "licence": licence},
        "files": files,
        "rejected": {
            "total": sum(total.reasons.values()),
            "by_reason": dict(sorted(total.reasons.items())),
            "rows": [asdict(row) for row in total.listed],
        },
        "rejected_traces": dict(sorted(total.trace_reasons.items())),
        "counts": dict(sorted(total.counts.items())),
        "statistics": figures.describe(),
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


def digest(wanted: Mapping[str, Any]) -> str:
    """A hash of what decides a build."""
    return hashlib.sha256(json.dumps(wanted, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: object) -> object:
    """An option as JSON; a file or folder beside the input counts by its name and content."""
    if not isinstance(value, Path):
        return value
    files = (
        sorted(path for path in value.rglob("*") if path.is_file()) if value.is_dir() else [value]
    )
    return f"{value.name} sha256:{_sha256(files)[:16]}"


def _code_sha256() -> str:
    """The hash of every file that decides what an episode becomes."""
    modules: tuple[ModuleType, ...] = (answers, chunking, clock, episode, protocol)
    shared = [Path(str(module.__file__)) for module in modules]
    return _sha256([*sorted(Path(__file__).parent.parent.rglob("*.py")), *shared])


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()
