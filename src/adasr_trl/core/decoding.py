r"""Bytes of a text file or pipe as text, in one way for builders and live use.

    >>> Decoder("talk.srt").decode(b"Gr\xfc\xdfe", final=True)
    UserError: talk.srt: byte 0xfc at offset 2 is not UTF-8 text; ...

UTF-8 unless another encoding is named; a byte order mark of UTF-8, UTF-16 or UTF-32 is obeyed and left out. Bytes that are no text are refused with
their offset, never replaced.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from adasr_trl.core.errors import UserError

UTF_8 = "utf-8"
# Byte order marks; those of UTF-32 come first, since one of UTF-16 begins one of them.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Decoder:
    """Bytes to text as they come; a character may be split anywhere."""

    def __init__(self, name: str, encoding: str = UTF_8) -> None:
        """``name`` is the file or pipe that an error names.

        Raises:
            UserError: Python knows no such encoding of text.
        """
        try:
            self._decoder = codecs.getincrementaldecoder(encoding)()
            "".encode(encoding)  # refuses codecs from bytes to bytes
        except LookupError:
            raise UserError(
                f"--encoding {encoding}: is unknown; expected a name such as utf-8 or latin-1."
            ) from None
        self._name, self._encoding, self._seen = name, encoding, 0
        self._head: bytes | None = b""  # until it is known what byte order mark there is

    def decode(self, data: bytes, *, final: bool = False) -> str:
        """The text of more bytes.

        Raises:
            UserError: They are no text, with the first wrong byte and its offset.
        """
        if self._head is not None:
            data = self._head + data
            if not final and any(mark.startswith(data) for mark in MARKS):
                self._head = data  # its rest is still to come
                return ""
            self._head = None
            self._obey(data)
        pending = self._decoder.getstate()[0]
        start = self._seen - len(pending)
        is_single = not self._encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
        zero = data.find(b"\0") if is_single else -1
        try:
            text = self._decoder.decode(data if zero < 0 else data[:zero], final)
        except UnicodeDecodeError as error:
            raise self._refusal(error.object[error.start], start + error.start) from None
        if zero >= 0:
            raise self._refusal(0, self._seen + zero)
        if start == 0:
            text = text.removeprefix("\ufeff")  # a byte order mark
        self._seen += len(data)
        return text

    def _obey(self, data: bytes) -> None:
        """Take the encoding that a byte order mark tells, unless another one was named."""
        mark = next((mark for mark in MARKS if data.startswith(mark)), None)
        if mark and self._encoding == UTF_8:
            self._encoding = MARKS[mark]
            self._decoder = codecs.getincrementaldecoder(self._encoding)()

    def _refusal(self, byte: int, offset: int) -> UserError:
        return UserError(
            f"{self._name}: byte 0x{byte:02x} at offset {offset} is not {self._encoding.upper()} text; expected text: name its "
            f"encoding (--encoding latin-1), convert it (iconv -t utf-8), or name another file."
        )


def read_text(path: Path, encoding: str = UTF_8) -> str:
    """A text file, whole."""
    return Decoder(str(path), encoding).decode(path.read_bytes(), final=True)
