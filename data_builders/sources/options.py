"""The options that sources of text share: where rows come from, what is done to them, how they are split."""

from __future__ import annotations

import argparse

from data_builders.rows import row
from data_builders.sources import split
from data_builders.text import cut, shape


def add_text_options(parser: argparse.ArgumentParser, *, licence: str) -> None:
    """Of a source that reads rows."""
    row.add_options(parser, licence=licence)
    add_telling_options(parser)


def add_telling_options(parser: argparse.ArgumentParser) -> None:
    """Of any source whose text is shaped, cut and split here."""
    cut.add_options(parser)
    shape.add_options(parser)
    split.add_options(parser)
