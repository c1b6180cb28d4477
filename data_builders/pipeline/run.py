"""What all sources share: build the parts, refuse or count the bad rows, split, and write whole or not at all.

    outcome = run("gsm8k", options)   # options as __main__ parses them
    outcome.manifest["statistics"]["skip_share"]

How rows become episodes is each source's own; one part is built in ``parts``; here it is decided when an output
directory may be replaced, and what an interrupted build left is gone on with.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

from adasr_trl.core.files import atomic_writer
from data_builders.errors import BuildError
from data_builders.pipeline import manifest as manifests
from data_builders.pipeline import quality
from data_builders.pipeline.parts import Entry, Job, Part, build_part, read_part
from data_builders.rows.outcome import Rejected
from data_builders.rows.row import UNSPLIT
from data_builders.sources.base import load_source
from data_builders.sources.split import SPLITS, check_leaks, choose_test_groups
from data_builders.text import cut

PART_ROWS = 2000
TRACES_FILE = "rejected_traces.jsonl"
_OPEN_SPLIT = '"split": ""}}'  # how a line ends whose split is not yet decided

Progress = Callable[[int, int, int], None]


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
class _Total:
    """All parts together, apart from the episodes' text."""

    sizes: Counter[str] = field(default_factory=Counter)  # episodes of each group without a split
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    trace_reasons: Counter[str] = field(default_factory=Counter)
    listed: list[Rejected] = field(default_factory=list)
    source: tuple[str, str, str] | None = None
    doubled: set[tuple[int, int]] = field(default_factory=set)  # part and place of a second id
    fixed: dict[str, set[str]] = field(
        default_factory=dict
    )  # groups of each split that a source sets


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of every source."""
    switch = argparse.BooleanOptionalAction
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=Path, metavar="DIR", help="where to write")
    place.add_argument(
        "--ephemeral",
        action="store_true",
        help="build for the one command behind -- ({out} in it is the place), then remove everything",
    )
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
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help="build with so many (default: 1)"
    )
    parser.add_argument(
        "--keep-untraced",
        action=switch,
        default=False,
        help="keep an episode whose trace fails quality control, without one, for reinforcement learning",
    )
    quality.add_options(parser)


def run(builder: str, options: argparse.Namespace, progress: Progress | None = None) -> Outcome:
    """Build ``options.out`` unless it is current; ``progress`` is told parts done, parts in all, episodes so far."""
    source = load_source(builder)
    manifests.fill_revision(options)
    wanted = manifests.identity(builder, options)
    found = manifests.read_manifest(options.out)
    if found and not options.overwrite and manifests.is_current(options.out, found, wanted):
        return Outcome(found, was_current=True)
    _refuse_foreign(options.out, found, builder, options)
    if "chunk" in options:
        cut.check_options(options)
    work = options.out / f".build-{manifests.digest(wanted)[:12]}"
    is_new = not options.out.exists()
    try:
        spans = source.open_rows(options).plan(PART_ROWS)
        work.mkdir(parents=True, exist_ok=True)
        jobs = [Job(builder, options, span, work / f"{i:06}") for i, span in enumerate(spans)]
        _build_parts(jobs, options.processes, progress or (lambda *_: None))
        total = _add_up(jobs)
        _refuse_rejected(total, options)
        held_out = choose_test_groups(total.sizes, options)
        check_leaks(total.fixed, total.sizes, held_out)
        manifest = _write(jobs, total, held_out, wanted, options)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        shutil.rmtree(work, ignore_errors=True)
        if is_new:
            with suppress(OSError):
                options.out.rmdir()
        if isinstance(error, OSError):
            raise BuildError(
                f"--out {options.out}: cannot be written: {error.strerror}."
            ) from error
        raise
    _clean(options.out, manifest)
    return Outcome(manifest, was_current=False)


def _build_parts(jobs: Sequence[Job], processes: int, progress: Progress) -> None:
    """In this process, or in several; the first error ends it."""
    if processes < 1:
        raise BuildError(f"--processes: got {processes}; expected 1 or more.")
    episodes = 0
    if processes == 1 or len(jobs) == 1:
        for done, job in enumerate(jobs, start=1):
            episodes += build_part(job)
            progress(done, len(jobs), episodes)
        return
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn"))
    try:
        running = [pool.submit(build_part, job) for job in jobs]
        for done, finished in enumerate(as_completed(running), start=1):
            episodes += finished.result()
            progress(done, len(jobs), episodes)
    except BrokenProcessPool:
        raise BuildError(
            "--processes: a process of the build died (out of memory?); run it with fewer."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _parts(jobs: Sequence[Job]) -> Iterator[Part]:
    for job in jobs:
        part = read_part(job)
        if part is None:
            raise BuildError(
                f"{job.path}: a part vanished while it was built; run the same command again."
            )
        yield part


def _add_up(jobs: Sequence[Job]) -> _Total:
    total = _Total()
    ids: set[str] = set()
    for number, part in enumerate(_parts(jobs)):
        total.counts += part.counts
        total.reasons += part.reasons
        total.trace_reasons += part.trace_reasons
        total.listed += part.listed[: manifests.MOST_LISTED - len(total.listed)]
        total.source = total.source or part.source
        for place, entry in enumerate(part.entries):
            if entry.id in ids:
                total.doubled.add((number, place))
                total.reasons["duplicate_id"] += 1
                detail = f"the id {entry.id!r} occurs twice"
                if len(total.listed) < manifests.MOST_LISTED:
                    total.listed.append(Rejected(f"id {entry.id}", "duplicate_id", detail))
                continue
            ids.add(entry.id)
            if entry.split == UNSPLIT:
                total.sizes[entry.group] += 1
            else:
                total.fixed.setdefault(entry.split, set()).add(entry.group)
    return total


def _refuse_rejected(total: _Total, options: argparse.Namespace) -> None:
    episodes = bool(total.sizes or total.fixed)
    if not episodes and not total.listed:
        raise BuildError("the source gave no row; ask for at least one episode.")
    if total.listed and (options.strict or not episodes):
        first = total.listed[0]
        count = sum(total.reasons.values())
        others = f" ({count - 1} more rows cannot be used)" if count > 1 else ""
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
    """Whether a killed build left this."""
    return path.name.startswith(".build-") or (
        path.name.startswith(".") and path.suffix == ".partial"
    )


def _write(
    jobs: Sequence[Job],
    total: _Total,
    held_out: frozenset[str],
    wanted: Mapping[str, Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Write all files beside their names, then move them; the manifest first, whose hashes tell what is missing."""
    figures = manifests.Figures()
    with ExitStack() as stack:
        outputs: dict[str, _Output] = {}
        for split, entry, line in _split_lines(jobs, total.doubled, held_out):
            name = f"{split}.jsonl"
            if name not in outputs:
                outputs[name] = _Output(stack.enter_context(atomic_writer(options.out / name)))
            outputs[name].write(line)
            figures.add(entry)
        if total.trace_reasons:
            traces = outputs[TRACES_FILE] = _Output(
                stack.enter_context(atomic_writer(options.out / TRACES_FILE))
            )
            for job in jobs:
                with job.traces_file.open(encoding="utf-8") as lines:
                    for line in lines:
                        traces.write(line)
        files = {name: output.describe() for name, output in sorted(outputs.items())}
        manifest = dict(wanted) | manifests.describe(total, files, figures)
        file = _Output(stack.enter_context(atomic_writer(options.out / manifests.FILE_NAME)))
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        file.sync()
    return manifest


class _Output:
    """A file in the making, with its hash."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._digest, self._lines = file, hashlib.sha256(), 0

    def write(self, line: str) -> None:
        self._file.write(line)
        self._digest.update(line.encode())
        self._lines += 1

    def describe(self) -> dict[str, object]:
        self.sync()
        return {"episodes": self._lines, "sha256": self._digest.hexdigest()}

    def sync(self) -> None:
        """Reach the disk now: a full one is noticed before any file has taken its name."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _split_lines(
    jobs: Sequence[Job], doubled: set[tuple[int, int]], held_out: frozenset[str]
) -> Iterator[tuple[str, Entry, str]]:
    """Every line with its split filled in, in the order of the input."""
    for number, (job, part) in enumerate(zip(jobs, _parts(jobs), strict=True)):
        with job.episodes_file.open(encoding="utf-8", newline="\n") as lines:
            for place, (entry, line) in enumerate(zip(part.entries, lines, strict=True)):
                if (number, place) in doubled:
                    continue
                if entry.split != UNSPLIT:
                    yield entry.split, entry, line
                    continue
                split = "test" if entry.group in held_out else "train"
                head = line.rstrip("\n").removesuffix(_OPEN_SPLIT)
                yield split, entry, f'{head}"split": "{split}"}}}}\n'


def _clean(out: Path, manifest: Mapping[str, Any]) -> None:
    """Remove what killed builds left, and files that are not written any more."""
    ours = {f"{split}.jsonl" for split in SPLITS} | {TRACES_FILE}
    for path in out.iterdir():
        if path.is_dir() and _is_partial(path):
            shutil.rmtree(path)
        elif _is_partial(path) or (path.name in ours and path.name not in manifest["files"]):
            path.unlink()
