"""The manifest of a build: its input, options and code, its files, and what was counted.

    {"format": 1, "builder": "gsm8k", "options": {...}, "input_sha256": "...", "code_sha256": "...",
     "input_files": {"train-00000-of-00002.parquet": 900, ...}, "source": {...},
     "files": {"train.jsonl": {"episodes": 1801, "sha256": "..."}, ...},
     "rejected": {"total": 1, "by_reason": {"bad_gold": 1}, "rows": [...]}, "counts": {...}, "statistics": {...}}

A build is current if the same builder would read the same input with the same options and code, and its files are
unchanged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import adasr_trl.core
import data_builders
from data_builders.errors import BuildError
from data_builders.rows.inputs import sha256_of, sha256_of_input
from data_builders.rows.shards import input_files
from data_builders.sources.split import SPLITS

FORMAT = 1
FILE_NAME = "manifest.json"
# Options that do not change the episodes; the input counts by its hash.
_NOT_IDENTITY = {"out", "input", "input_files", "input_sha256", "revision_read"}
_NOT_IDENTITY |= {"overwrite", "refresh", "ephemeral"}
_PACKAGES = (data_builders, adasr_trl.core)  # their code decides the episodes


def identity(builder: str, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that decides the content of a build, as JSON gives it back."""
    given = vars(options)
    decisive = {name: _plain(given[name]) for name in sorted(given.keys() - _NOT_IDENTITY)}
    if given.get("tokenizer") and Path(given["tokenizer"]).exists():
        decisive["tokenizer"] = _plain(Path(given["tokenizer"]))
    wanted = {
        "format": FORMAT,
        "builder": builder,
        "options": decisive,
        "input": _named(given["input"]) if given.get("input") else given.get("hub"),
        "input_sha256": given.get("input_sha256"),
        "code_sha256": _code_sha256(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(wanted))  # tuples as lists
    return plain


def fill_revision(options: argparse.Namespace) -> None:
    """Set the files of an input, their hash, and ``revision_read``: as given, else its hash, "main" or the seed."""
    given = vars(options)
    if "licence" not in given:
        return  # a generator
    has_files = bool(given.get("input"))
    options.input_files = input_files(options) if has_files else []
    options.input_sha256 = sha256_of_input(options.input_files) if has_files else None
    if given.get("revision"):
        options.revision_read = given["revision"]
    elif has_files:
        options.revision_read = f"sha256:{options.input_sha256[:16]}"
    else:
        options.revision_read = "main" if given.get("hub") else f"seed {options.seed}"


def _named(inputs: Sequence[Path]) -> str | list[str]:
    """The input by its name, or the names of several."""
    names = [path.name for path in inputs]
    return names[0] if len(names) == 1 else names


def read_manifest(out: Path) -> dict[str, Any] | None:
    """The manifest in ``out``; None where no builder wrote one."""
    try:
        manifest = json.loads((out / FILE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "builder" in manifest else None


def built_files(directory: Path) -> dict[str, Path]:
    """The file of each split in a build; a BuildError for none."""
    files = {s: path for s in SPLITS if (path := directory / f"{s}.jsonl").is_file()}
    if not files:
        raise BuildError(f"{directory}: holds no train.jsonl or test.jsonl; build it first.")
    return files


def is_current(out: Path, manifest: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether ``out`` holds, unchanged, the build of this identity."""
    if any(manifest.get(key) != value for key, value in wanted.items()):
        return False
    try:
        files = manifest["files"].items()
        return all(sha256_of(out / name) == file["sha256"] for name, file in files)
    except (BuildError, KeyError, TypeError, AttributeError):  # a damaged manifest or file
        return False


def _plain(value: object) -> object:
    """An option as JSON; a file or folder counts by its name and content."""
    if not isinstance(value, Path):
        return value
    files = sorted(filter(Path.is_file, value.rglob("*"))) if value.is_dir() else [value]
    return f"{value.name} sha256:{_sha256(files)[:16]}"


def _code_sha256() -> str:
    folders = [Path(str(package.__file__)).parent for package in _PACKAGES]
    return _sha256(file for folder in folders for file in sorted(folder.rglob("*.py")))


def _sha256(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()
