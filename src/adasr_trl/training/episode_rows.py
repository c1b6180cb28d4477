"""Rows of a trainer as episodes: dictionaries, a ``datasets.Dataset``, ``Episode`` objects, or a JSON Lines file of them.

    >>> rows = [{"question": "How many hens?", "text": "Tom has 5 hens. He buys 3.", "answer": 8}]
    >>> as_episodes(rows, "train").episodes[0].chunks
    ('Tom has 5 hens.', ' He buys 3.')

Columns: ``question``, ``text`` (cut at its sentences) or ``chunks``, ``answer``; optional are ``answer_type``, ``thoughts``
and ``deep`` (a trace), ``id``, ``group``, ``arrival_seconds``, ``tags``, ``tolerance`` and ``source``. Reward functions of TRL's form get
every other column, too. None, NaN and pandas' NA and NaT are a column that the row lacks. Rows of a data set's own form are the business of ``data_builders``.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy

from adasr_trl.core.answers import check_gold, guess_answer_type
from adasr_trl.core.choice_reading import is_label
from adasr_trl.core.episode import AnswerType, Episode, EpisodeError, Source, read_episodes
from adasr_trl.core.sentences import sentence_chunks

logger = logging.getLogger(__name__)

LICENCE = "unknown"  # of rows that name no source
FORMS = "expected a datasets.Dataset, a list of dictionaries or Episodes, or the path of a JSON Lines file of episodes"
CONVERSATIONS = ("prompt", "messages", "conversations")  # columns of TRL's forms
PROMPTS = (
    "which would arrive all at once, and nothing that streams. Give each row a question (known before), text "
    "or chunks (arriving), and an answer; of a conversation take the last user message apart"
)
# Other forms of data sets, and the way to rows.
_CONVERSIONS: Mapping[str, str] = {
    "DatasetDict": 'name a split, such as dataset["train"]',
    "IterableDataset": "take some rows, as with list(dataset.take(10_000))",
    "IterableDatasetDict": 'take some rows of a split, as with list(dataset["train"].take(10_000))',
    "generator": "make a list of it, list(rows)",
    "DataFrame": "datasets.Dataset.from_pandas(rows)",
}
_NAMED = ("question", "answer")
_STREAMED = ("text", "chunks")
_SHORT = ("float16", "float32")  # numbers of few bits
_MISSING = ("NAType", "NaTType")  # pandas'
# Words of tables for no value, and for none that is finite.
_NO_VALUES = {
    *("", "nan", "-nan", "n/a", "#n/a", "na", "<na>", "nat", "null", "nil", "none", "missing"),
    *("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"),
}
_NUMERAL = re.compile(r"[-+]?[\d.,]*\d")


@dataclass(frozen=True)
class EpisodeRows:
    """Episodes, and the columns of the rows that they were made of."""

    episodes: Sequence[Episode]
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by id of the episode


def as_episodes(rows: Any, split: str = "train", name: str = "train_dataset") -> EpisodeRows:
    """The episodes of a data set in any of the forms above.

    Args:
        rows: The data set.
        split: ``source.split`` of rows without a source, such as ``train``; also the start of their ids.
        name: The argument's name, for errors.

    Raises:
        EpisodeError: Another form, or a row that is no episode.
    """
    if isinstance(rows, str | Path):
        return EpisodeRows(list(read_episodes(rows, _check)))
    form = type(rows).__name__
    if form in _CONVERSIONS:
        raise EpisodeError(f"{name}: got a {form}; {FORMS}: {_CONVERSIONS[form]}.")
    if isinstance(rows, Mapping) or not (isinstance(rows, Iterable) and isinstance(rows, Sized)):
        raise EpisodeError(f"{name}: got a {form}; {FORMS}.")
    if not len(rows):
        raise EpisodeError(f"{name}: is empty; {FORMS}.")
    items = _items(rows, name)
    kinds = _kinds(items, name)
    episodes, columns = [], {}
    for index, (row, kind) in enumerate(zip(items, kinds, strict=True)):
        try:
            episode = row if isinstance(row, Episode) else _episode(row, kind, split, index)
            _check(episode)
        except ValueError as error:
            raise EpisodeError(f"{name}: row {index}: {error}") from None
        episodes.append(episode)
        if not isinstance(row, Episode):
            columns[episode.id] = row
    _refuse_doubled(episodes, name)
    return EpisodeRows(episodes, columns)


def _items(rows: Any, name: str) -> list[Any]:
    """The rows; those of a ``datasets.Dataset`` in Python's form, with the answer as it was written."""
    features = getattr(rows, "features", None)
    if features and rows.format["type"] != "custom":  # set_transform: the user's own form
        rows = rows.with_format(None)
    items: list[Any] = []
    try:
        for row in rows:
            items.append(_with_written_answer(row, features) if features else row)
    except (OSError, ValueError, ImportError, RuntimeError) as error:  # an image, or sound
        raise EpisodeError(
            f"{name}: row {len(items)}: cannot be read ({error}); repair it, or leave its column out with "
            f"dataset.remove_columns."
        ) from None
    return items


def _with_written_answer(row: Any, features: Mapping[str, Any]) -> Any:
    """A row with its label by name (-1 is none), and a number of few bits as 0.1 in place of 0.10000000149011612."""
    kind: Any = features.get("answer")
    answer = row.get("answer") if isinstance(row, Mapping) else None
    if isinstance(answer, int) and hasattr(kind, "int2str"):
        return {**row, "answer": kind.int2str(answer) if answer >= 0 else None}
    if isinstance(answer, float) and (dtype := getattr(kind, "dtype", "")) in _SHORT:
        return {**row, "answer": float(str(numpy.dtype(dtype).type(answer)))}
    return row


def _check(episode: Episode) -> None:
    check_gold(episode.answer, episode.answer_type)


def _refuse_doubled(episodes: Sequence[Episode], name: str) -> None:
    first: dict[str, int] = {}
    for index, episode in enumerate(episodes):
        if first.setdefault(episode.id, index) != index and episode != episodes[first[episode.id]]:
            raise EpisodeError(
                f"{name}: row {index}: id {episode.id!r} is row {first[episode.id]}'s already."
            )


def _kinds(rows: Sequence[Any], name: str) -> list[AnswerType | None]:
    """The type of answers for each row that states none, which is one for all of them.

    Raises:
        EpisodeError: A word for no value beside answers that are all numbers, or all labels.
    """
    answers = {
        index: str(row["answer"]).strip()
        for index, row in enumerate(rows)
        if _is_unstated(row) and not _is_missing(row.get("answer"))
    }
    if not answers:
        return [None] * len(rows)
    guess = guess_answer_type(list(answers.values()))
    if guess is AnswerType.TEXT:
        _refuse_no_values(answers, name)
        _warn_of_few_words(answers, name)
    logger.info("%s: answers are compared as %s (answer_type)", name, guess.value)
    return [guess if index in answers else None for index in range(len(rows))]


def _refuse_no_values(answers: Mapping[int, str], name: str) -> None:
    stated = {i: answer for i, answer in answers.items() if answer.casefold() not in _NO_VALUES}
    if not stated or len(stated) == len(answers):
        return
    kind = guess_answer_type(list(stated.values()))
    if kind is not AnswerType.TEXT:
        first = min(answers.keys() - stated.keys())
        raise EpisodeError(
            f"{name}: row {first}: answer is {answers[first]!r}, where the other answers are of answer_type {kind.value}; "
            f"correct it, leave the row out, or state its answer_type."
        )


def _warn_of_few_words(answers: Mapping[int, str], name: str) -> None:
    """Name the first of a few answers that make all of them text."""
    words = [i for i, text in answers.items() if not (_NUMERAL.fullmatch(text) or is_label(text))]
    if 2 * len(words) < len(answers):
        logger.warning(
            "%s: answers are compared as text, though %d of %d are numbers or labels: row %d has %r; correct it, or state "
            "its answer_type",
            *(name, len(answers) - len(words), len(answers), words[0], answers[words[0]]),
        )


def _is_unstated(row: Any) -> bool:
    return isinstance(row, Mapping) and _is_missing(row.get("answer_type"))


def _is_missing(value: Any) -> bool:
    """Whether a table has no value there: None, NaN, or pandas' NA or NaT."""
    if isinstance(value, Decimal):
        return value.is_nan()
    is_float = isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational)
    return value is None or (is_float and math.isnan(value)) or type(value).__name__ in _MISSING


def _episode(row: Any, kind: AnswerType | None, split: str, index: int) -> Episode:
    if not isinstance(row, Mapping):
        raise EpisodeError(f"got a {type(row).__name__}; expected a dictionary or an Episode.")
    given = {key: value for key, value in row.items() if not _is_missing(value)}
    _check_columns(given, row)
    streamed = given.get("chunks")
    chunks = sentence_chunks(_text(given, "text")) if streamed is None else _texts(given, "chunks")
    key = str(given.get("id", f"{split}-{index}"))
    thoughts = _texts(given, "thoughts") if "thoughts" in given else None
    deep = _text(given, "deep") if "deep" in given else None
    return Episode(
        id=key,
        group=str(given.get("group", key)),
        question=_text(given, "question"),
        chunks=chunks,
        answer=_text(given, "answer"),
        answer_type=kind or _kind(given["answer_type"]),
        source=_source(given.get("source"), split),
        arrival_seconds=_numbers(given.get("arrival_seconds")),
        thoughts=thoughts,
        deep="" if deep is None and thoughts is not None else deep,
        tags=_texts(given, "tags") if "tags" in given else (),
        tolerance=_share(given.get("tolerance", 0.0)),
    )


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real | Decimal):
        raise EpisodeError(f"tolerance is {value!r}; expected a number, 0 or more, below 1.")
    return float(str(value)) if not isinstance(value, numbers.Rational) else float(value)


def _check_columns(given: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Refuse a row without question, input or answer, and one with two inputs; ``given`` are the values that it has."""
    missing = [name for name in _NAMED if name not in given]
    streamed = [name for name in _STREAMED if name in given]
    for column in CONVERSATIONS:
        if column in given and (missing or not streamed):
            raise EpisodeError(f"has {column}, {PROMPTS}.")
    empty = [name for name in (*missing, *(() if streamed else _STREAMED)) if name in row]
    if empty:
        raise EpisodeError(
            f"{empty[0]} is {row[empty[0]]}, a missing value; fill it in, or leave the row out."
        )
    if missing or not streamed:
        wanted = " and ".join([*missing, *([] if streamed else ["text or chunks"])])
        raise EpisodeError(
            f"has no {wanted}; got {', '.join(map(str, given)) or 'nothing'}. Rename its columns, as with "
            f'dataset.rename_columns({{"context": "text"}}).'
        )
    if len(streamed) > 1:
        raise EpisodeError("has text and chunks, which are both the input; remove one.")


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, str | numbers.Real | Decimal):
        raise EpisodeError(
            f"{name} is {type(value).__name__}, expected text{' or a number' if name == 'answer' else ''}."
        )
    if isinstance(value, str | numbers.Rational):
        return str(value)
    if not math.isfinite(value):
        raise EpisodeError(
            f"{name} is {value}; expected a finite number: correct it, or leave the row out."
        )
    if isinstance(value, Decimal):
        return str(value)
    whole = math.floor(value)
    return str(whole) if whole == value else f"{float(str(value)):.15g}"  # a table's 8.0 is 8


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = _plain(given[name])
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise EpisodeError(f"{name} is {type(value).__name__}, expected a list of texts.")
    for index, text in enumerate(value):
        if not isinstance(text, str):
            raise EpisodeError(f"{name}[{index}] is {type(text).__name__}, expected text.")
    return tuple(value)


def _plain(value: Any) -> Any:
    """An array, as pandas keeps a list, as a list; any other value as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _numbers(value: Any) -> tuple[float, ...] | None:
    if value is None:
        return None
    value = _plain(value)
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    seconds = list(value) if is_list else [value]
    if not is_list or any(
        isinstance(s, bool | str) or not isinstance(s, numbers.Real | Decimal) for s in seconds
    ):
        raise EpisodeError(f"arrival_seconds is {value!r}, expected a list of numbers.")
    return tuple(float(second) for second in seconds)


def _kind(value: Any) -> AnswerType:
    if isinstance(value, AnswerType):
        return value
    known = [kind.value for kind in AnswerType]
    if value not in known:
        raise EpisodeError(f"answer_type is {value!r}, expected one of {', '.join(known)}.")
    return AnswerType(value)


def _source(value: Any, split: str) -> Source:
    """The source that a row states, with what it leaves open unknown."""
    if isinstance(value, Source):
        return value
    if isinstance(value, str):
        value = {"name": value}
    names = [entry.name for entry in dataclasses.fields(Source)]
    unknown = sorted(set(value or {}) - set(names))
    if unknown:
        raise EpisodeError(f"source has {unknown[0]!r}; known are {', '.join(names)}.")
    stated = {key: str(text) for key, text in (value or {}).items() if not _is_missing(text)}
    return Source(
        **{"name": "own rows", "revision": "none", "licence": LICENCE, "split": split, **stated}
    )
