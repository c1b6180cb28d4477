"""Arguments that several commands share."""

from __future__ import annotations

import argparse

from adasr_trl.artifacts.directory import Existing


def add_config(parser: argparse.ArgumentParser) -> None:
    """``--config``, and any ``--key value``: hence no abbreviations."""
    parser.allow_abbrev = False
    parser.epilog = parser.epilog or "Any --key value overrides the file."
    parser.add_argument("--config", "-c", metavar="FILE", help="a YAML file (needed)")
    parser.set_defaults(wrong=parser.error)  # with the command's own usage


def add_existing(parser: argparse.ArgumentParser) -> None:
    """``--resume``, ``--refresh`` and ``--overwrite``: treatment of a directory that holds something."""
    group = parser.add_mutually_exclusive_group()
    for flag, existing, summary in (
        (
            "--resume",
            Existing.RESUME,
            "go on with this run, with more steps if more are asked for, or do nothing if it is complete",
        ),
        (
            "--resume-changed-data",
            Existing.RESUME_DATA,
            "go on although rows of its data were removed or changed; the order of the rest changes",
        ),
        ("--refresh", Existing.REFRESH, "the same, but start anew if its inputs changed"),
        ("--overwrite", Existing.OVERWRITE, "move what is there to NAME.previous and start anew"),
    ):
        group.add_argument(
            flag, dest="existing", action="store_const", const=existing, help=summary
        )
    parser.set_defaults(existing=Existing.REFUSE)


def add_device(parser: argparse.ArgumentParser) -> None:
    """``--device``, where a model is loaded outside of training."""
    parser.add_argument("--device", default=None, help="such as cpu; a GPU where there is one")


def add_dtype(parser: argparse.ArgumentParser) -> None:
    """``--dtype``, in live use."""
    choices = ("float32", "bfloat16", "float16")
    what = "precision of the weights"
    parser.add_argument("--dtype", choices=choices, default="float32", help=what)


def add_layout(parser: argparse.ArgumentParser, summary: str) -> None:
    """``--layout``."""
    choices = ("interleaved", "parallel")
    parser.add_argument("--layout", choices=choices, default=None, help=summary)


def whole_number(text: str) -> int:
    """A flag's count, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number of 1 or more")
    return int(text)


def number(text: str) -> float:
    """A flag's number; its error names no function, as argparse does for a plain ValueError."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number") from None
