"""Options of sources of text: the input, shaping and cutting, the split."""

from __future__ import annotations

import argparse

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
