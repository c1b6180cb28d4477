"""An episode: a question, the chunks of its input, the gold answer, perhaps a teacher's trace. One JSON line each.

    {"schema": 1, "id": "ledger-7", "group": "ledger-7", "question": "How many apples has Tom?",
     "chunks": ["Tom has 5 apples.", " He buys 3."], "answer": "8", "answer_type": "number",
     "thoughts": ["Tom 5", "Tom 5 + 3 = 8"], "deep": "", "source": {"name": "ledger", ...}}

Reading validates every line; an error names file and line. Cutting of text is in ``chunking``, judging of answers in
``answers``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from adasr_trl.core.errors import UserError
from adasr_trl.core.files import atomic_writer
from adasr_trl.core.signatures import PARQUET, SIGNATURE_BYTES, packing_of

SCHEMA = 1


class AnswerType(Enum):
    """Comparison of an answer with the gold one (see ``answers``)."""

    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"


class EpisodeError(UserError):
    """An unusable episode; the message names its place and the remedy."""


@dataclass(frozen=True)
class Source:
    """Provenance of an episode; the licence goes into the model card."""

    name: str
    revision: str
    licence: str
    split: str


@dataclass(frozen=True)
class Episode:
    """One question with its streamed input of C chunks.

    Attributes:
        id: Unique within a file.
        group: Leak-safe split key: episodes of one group never stand in both train and test.
        question: Known before the input arrives; may be an instruction such as "Answer the last sentence."
        chunks: The input in order of arrival. Loss-free: joined they are the input text. (C)
        answer: The gold answer.
        answer_type: Comparison of predictions with the gold answer.
        source: Provenance.
        arrival_seconds: Time of each chunk's complete arrival; None leaves it to the clock. (C)
        thoughts: A teacher's thought for each chunk ("" is a skip), or None. (C)
        deep: A teacher's deep reasoning without the answer ("" for none), or None.
        tolerance: Largest difference of a right number from the gold one, relative to it; 0 compares exactly.
        tags: Free labels for breaking results down, such as "deep" for episodes with work at the end (our choice).
    """

    id: str
    group: str
    question: str
    chunks: tuple[str, ...]
    answer: str
    answer_type: AnswerType
    source: Source
    arrival_seconds: tuple[float, ...] | None = None
    thoughts: tuple[str, ...] | None = None
    deep: str | None = None
    tags: tuple[str, ...] = ()
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Validate all fields; an EpisodeError names the first wrong one."""
        for name in ("id", "group", "question", "answer"):
            if not getattr(self, name).strip():
                raise EpisodeError(f"{name} is empty; every episode needs one.")
        if not self.chunks:
            raise EpisodeError("chunks is empty; an episode streams at least one chunk.")
        if blank := [i for i, chunk in enumerate(self.chunks) if not chunk.strip()]:
            raise EpisodeError(f"chunks[{blank[0]}] is blank; join it with a neighbour.")
        for name in ("thoughts", "arrival_seconds"):
            if (values := getattr(self, name)) is not None and len(values) != len(self.chunks):
                raise EpisodeError(
                    f"{name} has {len(values)} entries for {len(self.chunks)} chunks; give one a chunk."
                )
        if (self.thoughts is None) != (self.deep is None):
            raise EpisodeError("thoughts and deep form one trace: give both or neither (null).")
        seconds = self.arrival_seconds or ()
        if not all(math.isfinite(second) for second in seconds):
            raise EpisodeError("arrival_seconds must be finite numbers of seconds.")
        if any(later < earlier for earlier, later in zip((0.0, *seconds), seconds, strict=False)):
            raise EpisodeError("arrival_seconds must start at 0 or later and never decrease.")
        self._check_tolerance()
        self._check_encodable()

    def _check_tolerance(self) -> None:
        if not 0.0 <= self.tolerance < 1.0:
            raise EpisodeError(f"tolerance is {self.tolerance}; expected 0 or more, below 1.")
        if self.tolerance and self.answer_type is not AnswerType.NUMBER:
            raise EpisodeError(
                f"tolerance is {self.tolerance}, but answer_type is "
                f"{self.answer_type.value}; only numbers have one."
            )

    def _check_encodable(self) -> None:
        try:
            to_json(self).encode("utf-8")
        except UnicodeEncodeError as error:
            near = error.object[max(0, error.start - 20) : error.end]
            raise EpisodeError(
                f"text is not Unicode at the end of {near!r} (bytes that are not UTF-8, or half of a "
                f"surrogate pair); repair the encoding of the source."
            ) from None

    @property
    def text(self) -> str:
        """The whole input as it was before chunking."""
        return "".join(self.chunks)


def to_json(episode: Episode) -> str:
    """One line of JSON, without its newline."""
    fields = dict(vars(episode))
    del fields["source"]  # the last key of a line
    if not episode.tolerance:
        del fields["tolerance"]  # a file of exact answers needs no such key
    fields |= {"answer_type": episode.answer_type.value, "source": vars(episode.source)}
    return json.dumps({"schema": SCHEMA, **fields}, ensure_ascii=False)


def from_json(line: str) -> Episode:
    """The episode on one line of JSON; an EpisodeError names the wrong key or value."""
    try:
        record = json.loads(line.removeprefix("\ufeff"), object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise EpisodeError(f"invalid JSON ({error.msg} at column {error.colno}).") from None
    if not isinstance(record, dict):
        raise EpisodeError(f"got a JSON {type(record).__name__}; expected an object.")
    if record.get("schema") != SCHEMA:
        raise EpisodeError(
            f"schema is {record.get('schema')!r}, expected {SCHEMA}; build the file with adasr data, or load rows of your own "
            f"with datasets.load_dataset."
        )
    unknown = sorted(set(record) - _KNOWN_KEYS)
    if unknown:
        raise EpisodeError(
            f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KNOWN_KEYS))}."
        )
    source = _get(record, "source", dict)
    seconds = _list(record, "arrival_seconds", (int, float))
    return Episode(
        id=_get(record, "id", str),
        group=_get(record, "group", str),
        question=_get(record, "question", str),
        chunks=_list(record, "chunks", (str,)) or (),
        answer=_get(record, "answer", str),
        answer_type=_answer_type(record),
        source=Source(
            **{entry.name: _get(source, entry.name, str) for entry in dataclasses.fields(Source)}
        ),
        arrival_seconds=seconds and tuple(map(float, seconds)),
        thoughts=_list(record, "thoughts", (str,)),
        deep=None if record.get("deep") is None else _get(record, "deep", str),
        tags=_list(record, "tags", (str,)) or (),
        tolerance=_tolerance(record),
    )


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose keys stand once; of two values none is meant."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in record if names.count(name) > 1)
        raise EpisodeError(f"the key {double!r} stands twice; remove one.")
    return record


def episode_file(path: str | Path) -> Path:
    """The path of a JSON Lines file; an EpisodeError that says what else it names."""
    path, name = Path(path), str(path)
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(SIGNATURE_BYTES)
        if start.startswith(PARQUET):
            raise EpisodeError(
                f"{name}: parquet, expected JSON Lines of adasr data; build episodes of its rows with adasr data custom."
            )
        if packing_of(start):
            raise EpisodeError(
                f"{name}: a packed file, expected JSON Lines of adasr data; unpack it."
            )
        return path
    if path.is_dir() and (held := sorted(file.name for file in path.glob("[!.]*.jsonl"))):
        raise EpisodeError(
            f"{name}: a folder, expected a file of episodes; name one file, such as {path / held[-1]}."
        )
    if name == "-" or (path.exists() and not path.is_dir()):
        raise EpisodeError(f"{name}: a pipe or device, which is read only once; write a file.")
    if "://" in name or re.match(r"\w{2,}:/", name):
        raise EpisodeError(f"{name}: an address, not a file; build episodes of it with adasr data.")
    if any(mark in name for mark in "*?["):
        raise EpisodeError(
            f"{name}: no such file; a pattern is no file, name one (to train on several: data.mixture)."
        )
    raise EpisodeError(f"{name}: no such file; build it with adasr data.")


def read_episodes(
    path: str | Path, check: Callable[[Episode], None] | None = None
) -> Iterator[Episode]:
    """Every episode of a JSON Lines file, in order; ``check`` may refuse one by a ValueError.

    Raises:
        EpisodeError: A missing or empty file, an invalid or refused line, an id used twice.
    """
    path = episode_file(path)
    first_line_of: dict[str, int] = {}
    # Bytes outside UTF-8 become surrogates, and Episode refuses these: the error then names the line.
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                episode = from_json(line)
                if episode.id in first_line_of:
                    raise EpisodeError(
                        f"id {episode.id!r} was used on line {first_line_of[episode.id]} already."
                    )
                if check:
                    check(episode)
            except ValueError as error:
                raise EpisodeError(f"{path}:{number}: {error}") from None
            first_line_of[episode.id] = number
            yield episode
    if not first_line_of:
        raise EpisodeError(f"{path}: the file holds no episode; build it with adasr data.")


def write_episodes(path: str | Path, episodes: Iterable[Episode]) -> int:
    """Write a JSON Lines file, whole or not at all; return the number of episodes."""
    count = 0
    with atomic_writer(Path(path)) as out:
        for episode in episodes:
            out.write(to_json(episode) + "\n")
            count += 1
    return count


_KNOWN_KEYS = frozenset(entry.name for entry in dataclasses.fields(Episode)) | {"schema"}


def _get(record: dict[str, Any], key: str, kind: type) -> Any:
    if key not in record:
        raise EpisodeError(f"{key} is missing; expected {kind.__name__}.")
    value = record[key]
    if not isinstance(value, kind):
        raise EpisodeError(f"{key} is {type(value).__name__}, expected {kind.__name__}.")
    return value


def _list(record: dict[str, Any], key: str, kinds: tuple[type, ...]) -> tuple[Any, ...] | None:
    if record.get(key) is None:
        return None
    values = _get(record, key, list)
    for index, value in enumerate(values):
        if type(value) not in kinds:  # exactly: JSON's true is a bool, and an int for isinstance
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise EpisodeError(f"{key}[{index}] is {type(value).__name__}, expected {expected}.")
    return tuple(values)


def _tolerance(record: dict[str, Any]) -> float:
    value = record.get("tolerance")
    if value is None:
        return 0.0
    if type(value) not in (int, float):
        raise EpisodeError(f"tolerance is {type(value).__name__}, expected a number.")
    return float(value)


def _answer_type(record: dict[str, Any]) -> AnswerType:
    value = _get(record, "answer_type", str)
    known = [kind.value for kind in AnswerType]
    if value not in known:
        raise EpisodeError(f"answer_type is {value!r}, expected one of {', '.join(known)}.")
    return AnswerType(value)
