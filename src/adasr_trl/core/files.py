r"""Atomic files: written beside their name, then moved over it.

    >>> with atomic_writer(Path("records.jsonl")) as out:
    ...     out.write("{}\n")

A full disk, an error or a kill leaves the old file (or none). After SIGKILL the temporary file stays, until its folder's
next run or build removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from adasr_trl.core.errors import UserError


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[str]]:
    """A temporary text file that replaces ``path`` on success and is removed on an error."""
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # a write to a full disk names no file
        raise
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def make_folder(path: Path) -> None:
    """Make a folder and those above it; a link on the way that leads nowhere is named (UserError)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        broken = next((p for p in (path, *path.parents) if p.is_symlink() and not p.exists()), None)
        if broken is None:
            raise
        raise UserError(
            f"{broken}: a link to {broken.readlink()}, which is not there; mount or make that folder, or remove the link."
        ) from None


def remove_partials(folder: Path) -> None:
    """Remove what killed processes have left in a folder; another command may be writing there."""
    for path in filter(is_partial, folder.iterdir()):
        if not _is_running(path.name.split(".")[-2]):
            path.unlink(missing_ok=True)


def _is_running(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def is_partial(path: Path) -> bool:
    """Whether a killed process may have left this temporary file."""
    return path.name.startswith(".") and path.suffix == ".partial"


def write_text(path: Path, text: str) -> None:
    """Write one file atomically."""
    with atomic_writer(path) as out:
        out.write(text)


@contextmanager
def appender(path: Path) -> Iterator[IO[str]]:
    """The file, open behind what it holds; an error of writing names it."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as out:
            yield out
    except OSError as error:
        error.filename = error.filename or str(path)  # a write to a full disk names no file
        raise


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON file of keys and values; any other is refused with the remedy (UserError)."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no UTF-8, or no JSON
        raise UserError(f"{path}: cannot be read as JSON ({error}); {remedy}.") from None
    if not isinstance(record, dict):
        raise UserError(f"{path}: holds no keys and values; {remedy}.")
    return record


def put_between(page: Path, name: str, text: str) -> None:
    """Replace the text between ``<!-- NAME -->`` and ``<!-- end of NAME -->``, in the page's line ends; both must be there."""
    head, tail = parts_around(page, name)
    end = "\r\n" if "\r\n" in head + tail else "\n"
    between = f"\n\n{text}\n\n".replace("\n", end)
    write_text(page, head + between + tail)


def parts_around(page: Path, name: str) -> tuple[str, str]:
    """The text up to the end of ``<!-- NAME -->``, and that from ``<!-- end of NAME -->`` on, with its own line ends.

    Raises:
        UserError: The page lacks one of them, or is no UTF-8 text.
    """
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    try:
        text = page.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{page}: cannot be read as UTF-8 text ({error}); convert it (iconv -t utf-8), or name another page."
        ) from None
    head, opening, rest = text.partition(start)
    _, closing, tail = rest.partition(end)
    if not opening or not closing:
        raise UserError(f"{page}: has no place for {name}; add {start} and {end} to the page.")
    return head + opening, closing + tail
