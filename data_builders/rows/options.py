"""Options of the command line: short declarations, checks, and the options of an input.

add_number(parser, "count", 1000, "graphs")    # --count N    graphs (default: 1000)
check_number(options, "count", 1)              # --count: got 0; expected 1 or more.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from adasr_trl.core.decoding import UTF_8
from data_builders.errors import BuildError


def add_input_options(parser: argparse.ArgumentParser, *, licence: str) -> None:
    """The input and its licence."""
    source = parser.add_mutually_exclusive_group(required=True)
    add_input(source, "rows: JSON Lines, JSON, CSV, parquet or Arrow, plain or packed")
    source.add_argument("--hub", metavar="ID", help="a data set on the Hub, such as openai/gsm8k")
    parser.add_argument(
        "--rows",
        metavar="KEY",
        help="where rows lie in nested JSON, such as examples, data.paragraphs.qas or questions,answers",
    )
    what = "encoding of the text, such as latin-1 (default: utf-8; UTF-16 by its mark)"
    parser.add_argument("--encoding", default=UTF_8, help=what)
    what = "the configuration of a Hub set, or of a clone's README.md, such as main"
    parser.add_argument("--subset", help=what)
    what = "the split of a Hub set or of a folder (default: train)"
    parser.add_argument("--split", help=what)
    parser.add_argument("--revision", help="the source's revision; the commit to load from the Hub")
    what = f"the rows' licence ({f'default: {licence}' if licence else 'required'})"
    parser.add_argument("--licence", "--license", default=licence, help=what)


def add_input(parser: argparse._ActionsContainer, what: str) -> None:
    """Declare ``--input``: files, patterns and folders, which the option names at once or one by one."""
    what = f"{what}; several files, a pattern or a folder are read as one input"
    kinds: dict[str, Any] = {"nargs": "+", "action": "extend", "type": path_of}
    parser.add_argument("--input", metavar="FILE", help=what, **kinds)


def path_of(text: str) -> Path:
    """A path of the command line or of a configuration file, where no shell has replaced ``~``."""
    if re.search(r"\$\{|^\$\w", text):
        raise argparse.ArgumentTypeError(
            f"got {text!r}, but variables are not replaced here; write the path out, or let it begin with ~/."
        )
    return Path(text).expanduser() if text.startswith("~/") else Path(text)


def add_switch(
    parser: argparse.ArgumentParser, name: str, what: str, *, default: bool = False
) -> None:
    """Declare ``--NAME`` and ``--no-NAME``."""
    action = argparse.BooleanOptionalAction
    parser.add_argument(flag_of(name), action=action, default=default, help=what)


def add_number(parser: argparse.ArgumentParser, name: str, default: float, what: str) -> None:
    """Declare ``--NAME N``, of the type of its default."""
    what = f"{what} (default: {default:g})"
    parser.add_argument(flag_of(name), type=type(default), default=default, metavar="N", help=what)


def check_number(
    options: argparse.Namespace, name: str, lowest: int, highest: int | None = None
) -> None:
    """Refuse a number outside of its bounds; None passes."""
    value = vars(options)[name]
    if value is not None and (value < lowest or (highest is not None and value > highest)):
        expected = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
        raise BuildError(f"{flag_of(name)}: got {value}; expected {expected}.")


def flag_of(name: str) -> str:
    """The flag of an option: ``--test-count`` of ``test_count``."""
    return f"--{name.replace('_', '-')}"
