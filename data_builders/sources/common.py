"""Small parts that several sources share."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence

from data_builders.errors import BuildError


def text_key(text: str) -> str:
    """A short key of a text, the same for the same words."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()[:16]


def joined_units(sentences: Sequence[str]) -> tuple[str, ...]:
    """Sentences as units of one text: a space before each but the first; blank ones are left out."""
    stripped = [sentence.strip() for sentence in sentences if sentence.strip()]
    return tuple(sentence if i == 0 else f" {sentence}" for i, sentence in enumerate(stripped))


def clauses_of(thought: str) -> list[str]:
    """The clauses of a generated thought, which semicolons separate."""
    return [clause for part in thought.split(";") if (clause := part.strip())]


def require_licence(options: argparse.Namespace) -> None:
    """Refuse an input of unknown licence."""
    if not options.licence:
        raise BuildError("--licence: is missing; name the set's licence, for the model card.")
