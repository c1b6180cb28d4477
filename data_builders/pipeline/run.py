"""One build: rows become episodes in one pass, a second pass over the lines splits them into train and test.

    result = run("gsm8k", options)   # options as __main__ parses them
    result.manifest["statistics"]["skip_share"]

Files are whole or absent: everything is written beside its name and moved at the end. An interrupted or failed build
leaves the old files as they were; the same command starts anew. One process builds: 400,000 short rows take 40 s.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from adasr_trl.core.episode import AnswerType, Episode, to_json
from adasr_trl.core.files import atomic_writer, is_partial, make_folder, remove_partials
from data_builders.errors import BuildError
from data_builders.pipeline import manifest as manifests
from data_builders.pipeline import quality
from data_builders.pipeline.assemble import Item, assemble
from data_builders.pipeline.quality import RejectedTrace, to_line
from data_builders.pipeline.tally import Tally
from data_builders.rows.options import add_switch, path_of
from data_builders.rows.row import Count, MissingColumnError, Rejected, Row, RowError
from data_builders.sources.base import SourceModule, load_source
from data_builders.sources.split import SPLITS, check_leaks, choose_test_groups
from data_builders.text import cut

TRACES_FILE = "rejected_traces.jsonl"
PROGRESS_ROWS = 500
FIRST_ROWS = 20  # so many rows without a column end the build before the last one is read
_SPLIT_FIELD = '"split": "'  # the last field of a line
_OPEN_END = f'{_SPLIT_FIELD}"}}}}\n'

Progress = Callable[[int, int, int], None]
"""Called with rows done, rows in all, and episodes so far."""


@dataclass(frozen=True)
class BuildResult:
    """Result of a build."""

    manifest: dict[str, Any]  # the manifest in the output directory
    was_current: bool  # whether it stood there before, and nothing was done


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every source."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=path_of, metavar="DIR", help="where to write")
    what = "build for the command behind --, with {out} for the folder, then remove everything"
    target.add_argument("--ephemeral", action="store_true", help=what)
    for name, what in (
        ("strict", "a row that cannot be used is an error"),
        ("overwrite", "replace whatever --out holds"),
        ("refresh", "replace an older build of the same source (--config does)"),
        ("keep-untraced", "keep an episode of a rejected trace, for reinforcement learning"),
    ):
        add_switch(parser, name, what)
    what = "largest difference of a right number, relative to the gold one (default: 0, exact)"
    parser.add_argument("--answer-tolerance", type=tolerance, default=0.0, metavar="X", help=what)
    quality.add_options(parser)


def tolerance(text: str) -> float:
    """A relative tolerance as an option's value."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected 0 or more, below 1.")
    return value


def run(
    builder: str, options: argparse.Namespace, progress: Progress = lambda *_: None
) -> BuildResult:
    """Build ``options.out`` unless it is current.

    Raises:
        BuildError: A broken input, an option that does not fit, an output that is not to be replaced.
    """
    source = load_source(builder)
    manifests.fill_revision(options)
    wanted = manifests.identity(builder, options)
    old = manifests.read_manifest(options.out)
    if old and not options.overwrite and manifests.is_current(options.out, old, wanted):
        return BuildResult(old, was_current=True)
    _refuse_foreign(options.out, old, builder, options)
    if "chunk" in options:
        cut.check_options(options)
    is_new = not options.out.exists()
    try:
        manifest = _build(source, wanted, options, progress)
    except BaseException as error:
        if is_new:
            with suppress(OSError):
                options.out.rmdir()
        if isinstance(error, OSError):
            reason = f"--out {options.out}: cannot be written: {error.strerror}."
            raise BuildError(reason) from error
        raise
    _clean(options.out, manifest)
    return BuildResult(manifest, was_current=False)


def _refuse_foreign(
    out: Path, old: Mapping[str, Any] | None, builder: str, options: argparse.Namespace
) -> None:
    """Refuse an output that holds anything but an older build of this source."""
    if out.exists() and not out.is_dir():
        raise BuildError(f"--out {out}: is a file, expected a directory.")
    held = [path for path in out.iterdir() if not is_partial(path)] if out.is_dir() else []
    if not held or options.overwrite:
        return
    if old is None:
        reason = f"holds files but no build (such as {min(held).name})"
    elif options.refresh and old["builder"] == builder:
        return
    else:
        reason = f"holds another build ({old['builder']}, or other options, input or code)"
    raise BuildError(f"--out {out}: {reason}; choose another, or pass --overwrite.")


def _build(
    source: SourceModule,
    wanted: Mapping[str, Any],
    options: argparse.Namespace,
    progress: Progress,
) -> dict[str, Any]:
    rows = source.open_rows(options)
    tally = Tally()
    make_folder(options.out)
    with (
        # It has no name: nobody sees it, and it goes away with the process.
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=options.out) as lines,
        _Outputs(options.out) as outputs,
    ):
        starts = _Starts(tally)
        for number, row in enumerate(rows.stream, start=1):
            starts.begin(row)
            for item in _items(source, row, options):
                _take(_with_tolerance(item, options.answer_tolerance), tally, lines, outputs)
            starts.check(FIRST_ROWS)
            if number % PROGRESS_ROWS == 0:
                progress(number, rows.count, tally.statistics.episodes)
        starts.end()
        progress(rows.count, rows.count, tally.statistics.episodes)
        _refuse_rejected(tally, options)
        held_out = choose_test_groups(tally.sizes, options)
        check_leaks(tally.fixed, tally.sizes, held_out)
        lines.seek(0)
        for split, line in _split_lines(lines, tally.groups, held_out):
            outputs.write(f"{split}.jsonl", line)
        read = {"input_files": dict(rows.files)} if rows.files else {}
        manifest = dict(wanted) | read | {"files": outputs.describe()} | tally.describe()
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        outputs.write(manifests.FILE_NAME, text)
        outputs.describe()
    return manifest


def _items(source: SourceModule, row: Row, options: argparse.Namespace) -> Iterator[Item]:
    """The outcomes of one row; an odd one is rejected."""
    if row.fault:
        yield Rejected(row.where, "unreadable", row.fault)
        return
    try:
        for source_item in source.build_row(row, options):
            yield from assemble(source_item, options)
    except RowError as error:
        reason = "missing_column" if isinstance(error, MissingColumnError) else "bad_column"
        yield Rejected(row.where, reason, str(error).removeprefix(f"{row.where}: "))
    except UnicodeEncodeError:  # in a key, say; columns are checked as they are read
        yield Rejected(row.where, "invalid", "holds half of a surrogate pair, which is no text")


def _take(item: Item, tally: Tally, lines: IO[str], outputs: _Outputs) -> None:
    if isinstance(item, Episode):
        if tally.add(item):
            lines.write(to_json(item) + "\n")
    elif isinstance(item, Count):
        tally.counts[item.name] += item.by
    elif isinstance(item, RejectedTrace):
        tally.trace_reasons[item.reason] += 1
        outputs.write(TRACES_FILE, to_line(item))
    else:
        tally.reject(item)


def _with_tolerance(item: Item, tolerance: float) -> Item:
    if tolerance and isinstance(item, Episode) and item.answer_type is AnswerType.NUMBER:
        return replace(item, tolerance=tolerance)
    return item


class _Starts:
    """Refuses an input, or one of its files, whose first rows all lack a column: an option or the file is a wrong one."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._file, self._rows, self._lacked, self._listed = tally, "", 0, 0, 0

    def begin(self, row: Row) -> None:
        """Before the row is built."""
        if row.file != self._file:
            self.end()
            self._file, self._rows = row.file, 0
            self._lacked = self._tally.reasons["missing_column"]
            self._listed = len(self._tally.listed)
        self._rows += 1

    def end(self) -> None:
        """Behind a file's last row; that of a single file is judged with the whole input."""
        if self._file:
            self.check(self._rows)

    def check(self, rows: int) -> None:
        """Refuse at so many rows of the file."""
        lacking = self._tally.reasons["missing_column"] - self._lacked
        if not 0 < rows == self._rows == lacking:
            return
        first = next(iter(self._tally.listed[self._listed :]), None)
        said = f"{first.row}: {first.detail}" if first else f"{self._file}: lacks a column."
        hint = "; all first rows of this file lack it: leave the file out" if self._file else ""
        raise BuildError(f"{said.rstrip('.')}{hint}.")


def _refuse_rejected(tally: Tally, options: argparse.Namespace) -> None:
    if options.answer_tolerance and tally.groups and not tally.statistics.answer_types["number"]:
        raise BuildError("--answer-tolerance: has no effect here; no answer is a number.")
    if not tally.groups and not tally.listed:
        raise BuildError("the source gave no row; ask for at least one episode.")
    if tally.listed and (options.strict or not tally.groups):
        first = tally.listed[0]
        count = sum(tally.reasons.values())
        others = f" ({count - 1} more rows cannot be used)" if count > 1 else ""
        hint = "drop --strict to leave it out" if options.strict else "no row of the input is left"
        raise BuildError(f"{first.row}: {first.reason}: {first.detail}{others}; {hint}.")


def _split_lines(
    lines: IO[str], groups: list[str], held_out: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Split and line of every episode; an open split is filled in."""
    for group, line in zip(groups, lines, strict=True):
        head, field, end = line.rpartition(_SPLIT_FIELD)
        if line.endswith(_OPEN_END):
            split = "test" if group in held_out else "train"
            yield split, f"{head}{field}{split}{end}"
        else:
            yield end.partition('"')[0], line


class _Outputs(ExitStack):
    """Unfinished files with their hashes; they take their names on exit, the manifest first, or not at all."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._files: dict[str, IO[str]] = {}
        self._digests: dict[str, Any] = {}
        self._lines: Counter[str] = Counter()

    def write(self, name: str, line: str) -> None:
        if name not in self._files:
            self._files[name] = self.enter_context(atomic_writer(self._folder / name))
            self._digests[name] = hashlib.sha256()
        self._files[name].write(line)
        self._digests[name].update(line.encode())
        self._lines[name] += 1

    def describe(self) -> dict[str, dict[str, object]]:
        """Lines and hash of each file, after all of them have reached the disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())  # a full disk fails here, before any file has its name
        return {
            name: {"episodes": self._lines[name], "sha256": self._digests[name].hexdigest()}
            for name in sorted(self._files)
        }


def _clean(out: Path, manifest: Mapping[str, Any]) -> None:
    """Remove the rests of killed builds, and files of an older build that this one does not have."""
    remove_partials(out)
    for name in {f"{split}.jsonl" for split in SPLITS} | {TRACES_FILE}:
        if name not in manifest["files"]:
            (out / name).unlink(missing_ok=True)
