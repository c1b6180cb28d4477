"""Small parts that several sources share: options, keys, units."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence

from data_builders.errors import BuildError
from data_builders.rows.options import add_input_options
from data_builders.sources import split
from data_builders.text import cut, shape
from data_builders.traces import align


def add_text_options(
    parser: argparse.ArgumentParser, *, licence: str, is_aligned: bool = False
) -> None:
    """Options of a source that reads rows; ``is_aligned``: its traces are aligned rationales."""
    add_input_options(parser, licence=licence)
    add_stream_options(parser)
    if is_aligned:
        align.add_options(parser)


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Options of any source whose text is shaped, cut and split here."""
    cut.add_options(parser)
    shape.add_options(parser)
    split.add_options(parser)


def text_key(text: str) -> str:
    """A short key of a text, the same for the same words."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()[:16]


def joined_units(sentences: Sequence[str]) -> tuple[str, ...]:
    """Sentences as units of one text: a space before each but the first; blank ones are left out."""
    stripped = [sentence.strip() for sentence in sentences if sentence.strip()]
    return tuple(sentence if i == 0 else f" {sentence}" for i, sentence in enumerate(stripped))


def require_licence(options: argparse.Namespace) -> None:
    """Refuse an input of unknown licence."""
    if not options.licence:
        raise BuildError("--licence: is missing; name the set's licence, for the model card.")
