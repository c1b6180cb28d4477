"""Files as UTF-8 bytes, whatever packs or encodes them: gzip, bzip2, xz, zip, Zstandard; UTF-16 by its mark or its zeros, UTF-32 by its mark.

    with opened(Path("rows.jsonl.zst")) as file: ...

The kind is found in the content. A damaged archive ends the build in one line. A zip archive holds one file, beside
hidden ones as macOS adds.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from adasr_trl.core.decoding import MARKS, UTF_8, Decoder
from adasr_trl.core.signatures import SIGNATURE_BYTES, Packing, packing_of
from data_builders.errors import BuildError

_MODULES: Mapping[Packing, Any] = {Packing.GZIP: gzip, Packing.BZIP2: bz2, Packing.XZ: lzma}
_HIDDEN = (".", "__MACOSX")
_BLOCK = 1 << 20  # bytes


@contextmanager
def opened(path: Path, encoding: str = UTF_8) -> Iterator[Any]:
    """A file's content, unpacked and as UTF-8; a BuildError for a missing or damaged one."""
    with ExitStack() as stack, _told(path):
        yield _as_utf8(_unpacked(path, stack), path, encoding, stack)


def seekable(path: Path) -> Any:
    """The mapped bytes of a file, or of a temporary copy of what it packs; a BuildError as in ``opened``."""
    import pyarrow

    with ExitStack() as stack, _told(path):
        file = _unpacked(path, stack)
        if isinstance(file, io.BufferedReader):
            return pyarrow.memory_map(str(path))
        # Its bytes last as long as the map.
        copy = stack.enter_context(tempfile.NamedTemporaryFile())
        shutil.copyfileobj(file, copy)
        copy.flush()
        return pyarrow.memory_map(copy.name)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Faults of a file, or of an archive, in one line."""
    try:
        yield
    except FileNotFoundError:
        raise BuildError(f"{path}: {_absent(str(path))}.") from None
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise BuildError(f"{path}: a damaged archive ({error}); fetch it again.") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise BuildError(f"{path}: cannot be read: {reason}.") from error


def _absent(path: str) -> str:
    if path.startswith("file:/"):
        return f"an address, not a file; name its path, {path.removeprefix('file:')}"
    if ":/" in path:
        return "an address, not a file; download it, or name a set of the Hub with --hub"
    if "\\" in path:
        return "no such file; write the folders of a path with /"
    is_hub_id = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", path) and not Path(path).suffix
    return "no such file" + (f"; a set of the Hub is named by --hub {path}" if is_hub_id else "")


def _unpacked(path: Path, stack: ExitStack) -> Any:
    file = stack.enter_context(path.open("rb"))
    packing = packing_of(file.read(SIGNATURE_BYTES))
    file.seek(0)
    if packing is None:
        return file
    if packing is Packing.ZIP:
        return _only_member(path, stack)
    if packing is Packing.ZSTANDARD:
        import pyarrow

        return stack.enter_context(pyarrow.CompressedInputStream(file, "zstd"))
    return stack.enter_context(_MODULES[packing].open(file))


def _only_member(path: Path, stack: ExitStack) -> Any:
    archive = stack.enter_context(zipfile.ZipFile(path))
    files = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    names = [name for name in files if not any(p.startswith(_HIDDEN) for p in Path(name).parts)]
    if "[Content_Types].xml" in names:
        raise BuildError(f"{path}: a workbook; save its sheet as CSV.")
    if len(names) != 1:
        raise BuildError(
            f"{path}: an archive of {len(names)} files ({', '.join(names[:3])}, ...); unpack it and give one."
        )
    try:
        return stack.enter_context(archive.open(names[0]))
    except RuntimeError as error:  # encrypted, or packed in a way that Python does not read
        raise BuildError(
            f"{path}: cannot be unpacked here ({error}); unpack it and give the file."
        ) from None


def _as_utf8(file: Any, path: Path, encoding: str, stack: ExitStack) -> Any:
    start = file.read(4)
    named = next((name for mark, name in MARKS.items() if start.startswith(mark)), encoding)
    if named == encoding and (unmarked := _unmarked(start)):
        named = unmarked
    rest = _Joined(start, file)
    decoder = Decoder(str(path), named)
    if named.lower() == UTF_8:
        return _rewound(file, rest, stack)
    copy = _temporary(stack)
    while block := rest.read(_BLOCK):
        copy.write(decoder.decode(block).encode())
    copy.write(decoder.decode(b"", final=True).encode())
    copy.seek(0)
    return copy


def _unmarked(start: bytes) -> str | None:
    """UTF-16 without its mark: two letters of ASCII, each beside a zero."""
    if len(start) < 4 or start.count(0) != 2:
        return None
    return "utf-16-le" if start[1::2] == b"\0\0" else "utf-16-be" if start[::2] == b"\0\0" else None


def _rewound(file: Any, rest: _Joined, stack: ExitStack) -> Any:
    """The file from its start; a stream that cannot go back is copied."""
    if file.seekable():
        file.seek(0)
        return file
    copy = _temporary(stack)
    while block := rest.read(_BLOCK):
        copy.write(block)
    copy.seek(0)
    return copy


def _temporary(stack: ExitStack) -> Any:
    return stack.enter_context(tempfile.TemporaryFile())


class _Joined:
    """The bytes that were looked at, then the rest of a stream."""

    def __init__(self, start: bytes, file: Any) -> None:
        self._start, self._file = start, file

    def read(self, size: int) -> bytes:
        """The next bytes."""
        start, self._start = self._start, b""
        return start or bytes(self._file.read(size))
