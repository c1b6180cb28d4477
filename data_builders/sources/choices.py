"""Options of a multiple-choice question, in the forms of public sets, and the letter of the right one.

    {"text": ["Rock.", "Tree."], "label": ["1", "2"]}     ["Rock.", "Tree."]     ["A)Rock.", "B)Tree."]
    [{"label": "A", "text": "Rock."}, ...]                {"A": "Rock.", "B": "Tree."}

Options are lettered anew. An answer is a label, a letter, or the text of one option. A bare position is refused: sets count
from 0 or from 1, so --answer-map says which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from data_builders.rows.row import Row, RowError

_OWN_LABEL = re.compile(r"\s*\(?([A-Za-z])\s?[).:]\s*")


@dataclass(frozen=True)
class Choices:
    """Options with the labels that the row gives them."""

    where: str  # the row, for messages
    labels: tuple[str, ...]  # the row's own; letters where it has none
    texts: tuple[str, ...]  # options without their labels

    def units(self, *, after_text: bool) -> tuple[str, ...]:
        """One unit an option, such as "A) Rock."."""
        lettered = zip(ascii_uppercase, self.texts, strict=False)
        return tuple(
            f"{' ' if number or after_text else ''}{letter}) {text}"
            for number, (letter, text) in enumerate(lettered)
        )

    def letter(self, answer: str) -> str:
        """The letter of the right option; a RowError for an answer that names none, or several."""
        wanted = answer.strip().strip("()").casefold()
        for names in (self.labels, self.texts):
            if names is self.texts and wanted.lstrip("-").isdecimal():
                break
            matches = [i for i, name in enumerate(names) if name.strip().casefold() == wanted]
            if len(matches) == 1:
                return ascii_uppercase[matches[0]]
        known = ", ".join(self.labels)
        raise RowError(
            f"{self.where}: the answer {answer!r} is none of {known}; say which it means with --answer-map, such as "
            f"0=A,1=B."
        )


def read_choices(row: Row, column: str) -> Choices:
    """The options in a column (RowError)."""
    value = row.get(column)
    if isinstance(value, str):
        value = row.spelled(value, column)
    labels: list[object] = []
    texts: list[object] = []
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        texts, given = value["text"], value.get("label")
        labels = given if isinstance(given, list) else []
    elif isinstance(value, Mapping):
        labels, texts = list(value), list(value.values())
    elif isinstance(value, list) and all(isinstance(option, Mapping) for option in value):
        texts = [option.get("text") for option in value]
        labels = [option["label"] for option in value if "label" in option]
    elif isinstance(value, list):
        labels, texts = _split_labels(value)
    fits = 2 <= len(texts) <= len(ascii_uppercase) and len(labels) in (0, len(texts))
    if not fits or not all(isinstance(text, str | int | float) for text in texts):
        raise RowError(
            f"{row.where}: column {column!r} holds no options; expected 2 to 26 texts, or labels with texts."
        )
    names = tuple(map(str, labels)) or tuple(ascii_uppercase[: len(texts)])
    return Choices(row.where, names, tuple(" ".join(str(text).split()) for text in texts))


def _split_labels(options: list[object]) -> tuple[list[object], list[object]]:
    """Labels and texts of options such as ``A)Rock.``; no labels where any is missing or out of order."""
    found = [_OWN_LABEL.match(str(option)) for option in options]
    letters = [match.group(1).upper() for match in found if match]
    if letters != list(ascii_uppercase[: len(options)]):
        return [], options
    return list(letters), [str(o)[m.end() :] for o, m in zip(options, found, strict=True) if m]
