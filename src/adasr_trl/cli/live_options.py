"""The command line's part of live use; nothing heavy is loaded here."""

from __future__ import annotations

import argparse
from typing import Any

COMMANDS = ("stream", "replay")


def add_live(commands: Any) -> None:
    """Add ``stream`` and ``replay`` to the parser's commands."""
    _add_stream(commands)
    _add_replay(commands)


def _add_stream(commands: Any) -> None:
    stream = commands.add_parser(
        "stream",
        help="let a finished run read text as it arrives, and see it think and answer",
        description="Reads a pipe or what you type (Ctrl-D ends it), a file at a reading speed, or a timed transcript.",
        epilog="Exit status 0: answered; 1: the tokens or positions ran out, or the form was broken; 2: an error.",
    )
    _add_model(stream)
    stream.add_argument("--question", required=True, help="what is asked; the model knows it first")
    place = stream.add_mutually_exclusive_group()
    place.add_argument("--replay", metavar="FILE", help="a text file, played at --wpm")
    place.add_argument(
        "--transcript",
        metavar="FILE",
        help="SRT, WebVTT or a recogniser's JSON, played at its own times",
    )
    stream.add_argument(
        "--encoding", default="utf-8", help="encoding of the text or transcript (default: utf-8)"
    )
    stream.add_argument(
        "--wpm", type=_positive, default=150.0, help="words a minute of --replay (default: 150)"
    )
    stream.add_argument(
        "--speed", type=_positive, default=1.0, help="play so many times faster (default: 1)"
    )
    stream.add_argument(
        "--pause",
        type=_positive,
        default=1.0,
        metavar="SECONDS",
        help="silence behind a stop that ends a sentence of a pipe (default: 1); at a terminal a new line does",
    )
    stream.add_argument(
        "--server",
        metavar="URL",
        help="a completion server writes, such as http://127.0.0.1:8000/v1",
    )
    stream.add_argument("--json", action="store_true", help="print one JSON event a line")
    stream.add_argument("--svg", metavar="FILE", help="draw what was shown into this picture")
    stream.add_argument(
        "--no-compare",
        action="store_true",
        help="do not run read-then-think on the same text afterwards",
    )


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="play questions in real time, and compare the wait with the clock's",
        description="Every chunk arrives at its time while the model runs in a thread; rates are measured first.",
    )
    _add_model(replay, several=True)
    replay.add_argument(
        "--episodes",
        metavar="FILE",
        help="JSON Lines of episodes (default: RUN/eval/episodes.jsonl)",
    )
    replay.add_argument("--count", type=_count, default=20, help="how many of them (default: 20)")
    replay.add_argument(
        "--wpm",
        type=_positive,
        nargs="+",
        default=[150.0],
        help="words a minute, one or more speeds",
    )
    replay.add_argument("--json", action="store_true", help="print JSON in place of the table")


def _add_model(command: argparse.ArgumentParser, *, several: bool = False) -> None:
    command.add_argument("run", help="a finished run, an adapter's directory, or OWNER/NAME")
    command.add_argument(
        "--layout",
        choices=("interleaved", "parallel"),
        nargs="+" if several else None,
        default=None,
        help="in place of the one that the model was taught",
    )
    command.add_argument(
        "--temperature", type=_not_negative, default=0.0, help="of the samples; 0 is greedy"
    )
    command.add_argument("--seed", type=int, default=0, help="of the samples")
    command.add_argument("--device", default=None, help="such as cpu; a GPU where there is one")
    command.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="float32",
        help="precision of the weights",
    )


def _positive(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected above 0, at most a million")
    return value


def _not_negative(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected 0 or more")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number of 1 or more")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number") from None
