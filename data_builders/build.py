"""What all sources share: collect the rows, refuse or count the bad ones, split, and write whole or not at all.

    outcome = run("gsm8k", options)   # options as __main__ parses them
    outcome.manifest["statistics"]["skip_share"]

How rows become episodes is each source's own; when an output directory may be replaced is decided here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from adasr_trl.episode import Episode, to_json
from adasr_trl.files import atomic_writer
from adasr_trl.protocol import Markers, first_marker
from data_builders import manifest as manifests
from data_builders.source import BuildError, Count, Rejected, load_source
from data_builders.split import SPLITS, split_episodes


@dataclass(frozen=True)
class Outcome:
    """What a build did.

    Attributes:
        manifest: The manifest that now stands in the output directory.
        was_current: Whether it stood there before, so that nothing was done.
    """

    manifest: dict[str, Any]
    was_current: bool


@dataclass
class _Collected:
    """What the rows of an input became."""

    episodes: list[Episode] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every source."""
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    parser.add_argument(
        "--strict", action=switch, default=False, help="a row that cannot be used is an error"
    )
    parser.add_argument(
        "--overwrite", action=switch, default=False, help="replace whatever --out holds"
    )
    parser.add_argument(
        "--refresh",
        action=switch,
        default=False,
        help="replace an older build of the same source (--config does)",
    )


def run(
    builder: str, options: argparse.Namespace, progress: Callable[[int], None] | None = None
) -> Outcome:
    """Build ``options.out`` unless it is current; ``progress`` is told the number of rows so far."""
    source = load_source(builder)
    wanted = manifests.identity(builder, options)
    found = manifests.read_manifest(options.out)
    if found and not options.overwrite and manifests.is_current(options.out, found, wanted):
        return Outcome(found, was_current=True)
    _refuse_foreign(options.out, found, builder, options)
    collected = _collect(source.build(options), progress or (lambda _: None))
    _refuse_rejected(collected, options)
    parts = split_episodes(collected.episodes, options)
    lines = {f"{split}.jsonl": [to_json(e) for e in parts[split]] for split in SPLITS}
    lines = {name: rows for name, rows in lines.items() if rows}
    files = {
        name: {"episodes": len(rows), "sha256": _sha256_of_lines(rows)}
        for name, rows in lines.items()
    }
    manifest = wanted | manifests.describe(parts, files, collected.rejected, collected.counts)
    _write(options.out, lines, manifest)
    return Outcome(manifest, was_current=False)


def _collect(
    items: Iterable[Episode | Rejected | Count], progress: Callable[[int], None]
) -> _Collected:
    collected = _Collected()
    ids: set[str] = set()
    for item in items:
        if isinstance(item, Count):
            collected.counts[item.name] += item.by
            continue
        fault = item if isinstance(item, Rejected) else _fault(item, ids)
        if fault:
            collected.rejected.append(fault)
        elif isinstance(item, Episode):
            ids.add(item.id)
            collected.episodes.append(item)
        progress(len(collected.episodes) + len(collected.rejected))
    return collected


def _fault(episode: Episode, ids: set[str]) -> Rejected | None:
    """What makes an episode unusable beside the others, or to teach from."""
    row = f"id {episode.id}"
    if episode.id in ids:
        return Rejected(row, "duplicate_id", f"the id {episode.id!r} occurs twice")
    for text in (*(episode.thoughts or ()), episode.deep or "", episode.answer):
        if found := first_marker(text, Markers()):
            detail = f"the trace holds the marker {found[0]!r}, which only the protocol may write"
            return Rejected(row, "marker_in_trace", detail)
    return None


def _refuse_rejected(collected: _Collected, options: argparse.Namespace) -> None:
    rejected = collected.rejected
    if not collected.episodes and not rejected:
        raise BuildError("the source gave no row; ask for at least one episode.")
    if rejected and (options.strict or not collected.episodes):
        first = rejected[0]
        others = f" ({len(rejected) - 1} more rows cannot be used)" if len(rejected) > 1 else ""
        hint = "drop --strict to leave it out" if options.strict else "no row of the input is left"
        raise BuildError(f"{first.row}: {first.reason}: {first.detail}{others}; {hint}.")


def _refuse_foreign(
    out: Path, found: Mapping[str, Any] | None, builder: str, options: argparse.Namespace
) -> None:
    if out.exists() and not out.is_dir():
        raise BuildError(f"--out {out}: is a file, expected a directory.")
    held = [path for path in out.iterdir() if not _is_partial(path)] if out.is_dir() else []
    if not held or options.overwrite:
        return
    if found is None:
        raise BuildError(
            f"--out {out}: holds files but no build (such as {min(held).name}); choose another, "
            f"or pass --overwrite."
        )
    if not (options.refresh and found["builder"] == builder):
        raise BuildError(
            f"--out {out}: holds another build ({found['builder']}, or other options, input or code); "
            f"choose another, or pass --overwrite."
        )


def _is_partial(path: Path) -> bool:
    """Whether a killed build left this file."""
    return path.name.startswith(".") and path.suffix == ".partial"


def _write(out: Path, lines: Mapping[str, Sequence[str]], manifest: Mapping[str, Any]) -> None:
    """Write all files beside their names, then move them; the manifest first, whose hashes tell what is missing."""
    is_new = not out.exists()
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    try:
        with ExitStack() as stack:
            for name, rows in lines.items():
                file = stack.enter_context(atomic_writer(out / name))
                _write_through(file, rows)
            file = stack.enter_context(atomic_writer(out / manifests.FILE_NAME))
            _write_through(file, [text])
    except BaseException as error:
        if is_new:
            with suppress(OSError):
                out.rmdir()
        if isinstance(error, OSError):
            raise BuildError(f"--out {out}: cannot be written: {error.strerror}.") from error
        raise
    for path in out.iterdir():
        if _is_partial(path) or (path.name in _names_of_splits() and path.name not in lines):
            path.unlink()


def _write_through(file: IO[str], rows: Iterable[str]) -> None:
    """Reach the disk now: a full one is noticed before any file has taken its name."""
    file.writelines(f"{row}\n" for row in rows)
    file.flush()
    os.fsync(file.fileno())


def _names_of_splits() -> set[str]:
    return {f"{split}.jsonl" for split in SPLITS}


def _sha256_of_lines(rows: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row}\n".encode())
    return digest.hexdigest()
