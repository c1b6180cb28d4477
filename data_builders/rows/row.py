"""One row of a data set, and its outcomes beside an episode.

    >>> Row("rows.jsonl:1", 1, "1", {"answer": 8}).text("answer")
    '8'

File formats are in ``inputs``. Text is cut and shaped in ``text``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from adasr_trl.core.episode import Source
from data_builders.errors import BuildError
from data_builders.rows.json_text import Doubled, JsonError, list_in_text

_EXACT = 2**53  # below it every whole number is a float
_ROLES = ("role", "from")  # keys under which a turn of a chat names its speaker
_TEXTS = ("text", "content", "value")  # keys under which an object has its text
UNSPLIT = ""  # split of an episode that the hash of its group decides


class RowError(BuildError):
    """A row with a value that cannot be used: it is rejected and counted."""


class MissingColumnError(RowError):
    """A row without a column; where the first rows all lack it, the option is wrong and ends the build."""


class MissingPartError(RowError):
    """A column without the part that a dotted name asks for."""


class Missing(str):
    """What a cell of a table holds in place of a value, such as "nan"; it is read as none."""


@dataclass(frozen=True)
class Row:
    """One row of the input."""

    where: str  # file and line, or set and index, for messages
    number: int  # its line (from 1) or index (from 0)
    key: str  # its key, where the input has keys; else its number
    columns: Mapping[str, object]  # values by column name
    fault: str = ""  # the reason why it is no row, such as invalid JSON
    file: str = ""  # the file that it is of, where an input has several

    def get(self, column: str) -> object:
        """The value in ``column``; a RowError names the columns that exist.

        Dots name what is nested: "answers.text.0", "messages.user.content". A name may have a line break for a space.
        """
        column = self._own(column)
        if column in self.columns:
            value = self._part(self.columns, [column], column)
            return None if isinstance(value, Missing) else value
        if column.partition(".")[0] not in self.columns:
            known = ", ".join(self.columns) or "none"
            raise MissingColumnError(f"{self.where}: no column {column!r}; the row has {known}.")
        return self._part(self.columns, column.split("."), column)

    def _own(self, column: str) -> str:
        """The name as the row has it: with spaces for line breaks where only that one exists."""
        spaced = " ".join(column.split())
        return spaced if spaced in self.columns and column not in self.columns else column

    def _part(self, value: object, parts: list[str], column: str) -> object:
        for done, part in enumerate(parts, start=1):
            if isinstance(value, str):
                value = self.spelled(value, column)
            if isinstance(value, Doubled) and part in value.doubled:
                raise RowError(f"{self.where}: {part!r} stands twice in one object.")
            if isinstance(value, Mapping) and part in value:
                value = value[part]
            elif isinstance(value, list) and part == "*":
                return [self._part(item, parts[done:], column) for item in value]
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            elif (
                isinstance(value, list)
                and value
                and all(isinstance(v, Mapping) and part in v for v in value)
            ):
                value = [self._part(item, [part], column) for item in value]
            elif turns := _turns_of(part, value):
                first = min(turns)
                if len(turns) > 1:
                    way = ".".join((*parts[: done - 1], str(first)))
                    raise RowError(
                        f"{self.where}: column {column!r}: {len(turns)} turns of {part!r}, expected one; the first is {way}."
                    )
                value = turns[first]
            else:
                inside = column.removesuffix("." + ".".join(parts[done - 1 :]))
                raise MissingPartError(
                    f"{self.where}: no column {column!r}: {inside!r} is {_contents(value)}."
                )
        return value

    def text(self, column: str) -> str:
        """The value in ``column`` as text: a number as its digits, true as "true", null and NaN as "", a list of one as its text."""
        value = self.get(column)
        if isinstance(value, str):
            value = self._unpacked(value, column)
        if isinstance(value, Mapping) and isinstance(value.get("text"), str | list):
            value, column = value["text"], f"{column}.text"  # SQuAD's answers
        if isinstance(value, list) and len({str(item) for item in value}) == 1:
            value = value[0]
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if isinstance(value, bytes):  # parquet without the note that a column is text
            value = self._decoded(value, column)
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str | int | float | Decimal):
            is_nested = isinstance(value, list | Mapping) and value
            way = f"; say {_way_in(column, value)}" if is_nested else ""
            raise RowError(
                f"{self.where}: column {column!r} is {kind_of(value)}, expected text or a number{way}."
            )
        if type(value) is float and value.is_integer() and abs(value) < _EXACT:
            value = int(value)  # a column of whole numbers with a gap is one of floats in a table
        return self._whole(str(value), column)

    def spelled(self, text: str, column: str) -> object:
        """The list or object that a text spells; None for any other text."""
        try:
            return list_in_text(text.strip())
        except JsonError as error:
            raise RowError(f"{self.where}: column {column!r} {error}.") from None

    def _unpacked(self, text: str, column: str) -> object:
        """What a text spells in place of one: a list of texts, or SQuAD's answers. "[1, 2]" and other JSON are texts."""
        spelled = self.spelled(text, column)
        if isinstance(spelled, Mapping):
            return spelled if spelled.keys() == {"text", "answer_start"} else text
        is_list = isinstance(spelled, list) and all(isinstance(t, str | None) for t in spelled)
        return spelled if is_list else text

    def speaker(self, column: str) -> str:
        """The role of the turn of a chat in which a dotted column lies; "" for none."""
        parts = column.split(".") if self._own(column) not in self.columns else []
        for end in range(1, len(parts)):
            turn = self.get(".".join(parts[:end]))
            roles = [turn.get(key) for key in _ROLES] if isinstance(turn, Mapping) else []
            if role := next((role for role in roles if isinstance(role, str)), ""):
                return role
        return ""

    def _decoded(self, data: bytes, column: str) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise RowError(
                f"{self.where}: column {column!r} is bytes that are not UTF-8 text (byte {error.start + 1})."
            ) from None

    def _whole(self, text: str, column: str) -> str:
        """A text without half a surrogate pair, which no file can hold."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            character = f"\\u{ord(text[error.start]):x}"
            raise RowError(
                f"{self.where}: column {column!r} holds {character}, half a character."
            ) from None
        return text

    def text_or(self, column: str, default: str) -> str:
        """The text in ``column``, or ``default`` for a missing or empty one."""
        try:
            return self.text(column) or default
        except (MissingColumnError, MissingPartError):
            return default

    def joined(self, column: str) -> str:
        """The text in ``column``; the passages of a list are joined by spaces."""
        passages = self.passages(column)
        return self.text(column) if passages is None else " ".join(passages)

    def passages(self, column: str) -> tuple[str, ...] | None:
        """The texts of a list, also of lists in a list or one that a text spells; blank ones are left out. None for a text."""
        value = self.get(column)
        if isinstance(value, str):
            spelled = self.spelled(value, column)
            value = spelled if isinstance(spelled, list) else value
        if not isinstance(value, list):
            return None
        if all(isinstance(item, list) and all(isinstance(t, str) for t in item) for item in value):
            value = [text for item in value for text in item]
        return tuple(stripped for text in self._texts(value, column) if (stripped := text.strip()))

    def texts(self, column: str) -> tuple[str, ...]:
        """The list of texts in ``column``."""
        value = self.get(column)
        spelled = self.spelled(value, column) if isinstance(value, str) else None
        return self._texts(value if spelled is None else spelled, column)

    def _texts(self, value: object, column: str) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(self._whole(text, column) for text in value)
        inside = way = ""
        if isinstance(value, list):
            odd = next(item for item in value if not isinstance(item, str))
            inside = f", in which one is {kind_of(odd)}"
            way = f"; say {_way_in(f'{column}.*', odd)}" if isinstance(odd, list | Mapping) else ""
        raise RowError(
            f"{self.where}: column {column!r} is {kind_of(value)}{inside}, expected a list of texts{way}."
        )

    def nested(self, column: str, columns: object) -> Row:
        """A row for the object inside ``column``; anything but a mapping has no columns."""
        inner = columns if isinstance(columns, Mapping) else {}
        return Row(f"{self.where}: {column}", self.number, self.key, inner)


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used."""

    row: str  # where it stands, such as "gsm8k.jsonl:12"
    reason: str  # a short code under which it is counted, such as "bad_gold"
    detail: str  # the fault in words


@dataclass(frozen=True)
class Count:
    """Adds ``by`` to the manifest's count ``name``."""

    name: str
    by: int = 1


@dataclass(frozen=True)
class Rows:
    """An input, or the numbers of a generator."""

    count: int  # for the progress line; blank lines of a file may count
    # The rows in their order, read once; memory does not grow with their number.
    stream: Iterator[Row]
    files: Mapping[str, int] | None = None  # rows read of each file so far, where there are several


def source_of(name: str, options: argparse.Namespace) -> Source:
    """Provenance of an input's episodes; their split is still open."""
    return Source(name, options.revision_read, options.licence, UNSPLIT)


def _contents(value: object) -> str:
    """The kind of a value and the names or number of its parts."""
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(str, value)) or 'nothing'}"
    if isinstance(value, list) and value and all(isinstance(turn, Mapping) for turn in value):
        roles = [str(turn[key]) for turn in value for key in _ROLES if key in turn]
        if len(roles) == len(value):
            return f"a list of turns of {', '.join(dict.fromkeys(roles))}"
    return f"a list of {len(value)}" if isinstance(value, list) else kind_of(value)


def _way_in(column: str, value: object) -> str:
    """A dotted name for the first text inside a list or object."""
    if isinstance(value, Mapping):
        texts = [key for key in _TEXTS if isinstance(value.get(key), str | list)]
        return f"{column}.{next(iter((*texts, *value)), 'KEY')}"
    lists = (
        [i for i, item in enumerate(value) if isinstance(item, list)]
        if isinstance(value, list)
        else []
    )
    return f"{column}.{lists[0] if lists else 0}"


def _turns_of(role: str, value: object) -> dict[int, object]:
    """The turns of a chat that a role has said, by their positions."""
    return {
        n: turn
        for n, turn in enumerate(value if isinstance(value, list) else ())
        if isinstance(turn, Mapping) and role in [turn.get(key) for key in _ROLES]
    }


def kind_of(value: object) -> str:
    """The type of a JSON value in words."""
    kinds = {dict: "a JSON object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
