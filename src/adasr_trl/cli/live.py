"""``adasr stream`` and ``adasr replay``: a finished run on text that arrives in real time."""

from __future__ import annotations

import argparse

from adasr_trl.cli.arguments import add_device, add_dtype, add_layout, number, whole_number
from adasr_trl.config.sections import MIN_TEMPERATURE


def add_stream(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr stream``."""
    parser.description = "Input: a pipe or typed text (Ctrl-D ends it), a file at a reading speed, a timed transcript, or sound."
    parser.epilog = "Exit status 0: answered; 1: out of tokens or positions, or a malformed answer; 2: an error."
    _add_model(parser)
    parser.add_argument(
        "--question",
        help="the question, which the model sees first (demo: else a story of its own)",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--replay", metavar="FILE", help="a text file, played at --wpm")
    source.add_argument(
        "--transcript",
        metavar="FILE",
        help="SRT, WebVTT or a recogniser's JSON, played at its own times",
    )
    source.add_argument(
        "--audio",
        metavar="FILE",
        help="sound of any format, played as it was said; - is standard input, mic the microphone",
    )
    parser.add_argument("--encoding", help="encoding of the text or transcript (default: utf-8)")
    parser.add_argument("--wpm", type=_positive, help="words a minute of --replay (default: 150)")
    parser.add_argument("--speed", type=_positive, help="factor on the playing speed (default: 1)")
    parser.add_argument(
        "--pause",
        type=_positive,
        metavar="SECONDS",
        help="silence that ends a sentence at its stop (default: 1); at a terminal a new line does, too",
    )
    parser.add_argument(
        "--recogniser",
        metavar="MODEL",
        help="faster-whisper model of --audio, a directory or a name (default: tiny.en)",
    )
    parser.add_argument("--language", metavar="CODE", help="spoken language (default: en)")
    parser.add_argument(
        "--rate", type=_rate, metavar="HZ", help="of --audio -: raw PCM of 16 bits, one channel"
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="a completion server writes, such as http://127.0.0.1:8000/v1",
    )
    parser.add_argument("--json", action="store_true", help="one JSON event a line")
    parser.add_argument("--svg", metavar="FILE", help="animated picture of the stream")
    parser.add_argument(
        "--no-compare",
        action="store_true",
        help="no read-then-think afterwards, for a run that was taught it",
    )


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr replay``."""
    parser.description = "Every chunk arrives at its time while the model runs in a thread; rates are measured first."
    _add_model(parser)
    parser.add_argument(
        "--episodes",
        metavar="FILE",
        help="JSON Lines of episodes (default: RUN/eval/episodes.jsonl)",
    )
    parser.add_argument(
        "--count", type=whole_number, default=20, help="number of episodes (default: 20)"
    )
    parser.add_argument(
        "--wpm", type=_positive, nargs="+", default=[150.0], help="words a minute, one or more"
    )
    parser.add_argument("--json", action="store_true", help="JSON in place of the table")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="demo, a finished run, an adapter's directory, or OWNER/NAME")
    add_layout(parser, "expected layout; a run that was taught the other one is refused")
    parser.add_argument(
        "--temperature", type=_temperature, default=0.0, help="sampling temperature; 0 is greedy"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed for sampled decoding")
    add_device(parser)
    add_dtype(parser)
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    from adasr_trl.live.command import run

    return run(options)


def _positive(text: str) -> float:
    value = number(text)
    if not 0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected above 0, at most a million")
    return value


def _temperature(text: str) -> float:
    value = number(text)
    if value and not MIN_TEMPERATURE <= value <= 1e6:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; expected 0 (greedy), or {MIN_TEMPERATURE:g} to a million"
        )
    return value


def _rate(text: str) -> int:
    if not text.isdecimal() or not 4_000 <= int(text) <= 192_000:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected 4000 to 192000 samples a second")
    return int(text)
