"""``adasr serve``: many live streams over the network from one model."""

from __future__ import annotations

import argparse
import importlib.util

from adasr_trl.cli.arguments import add_device, add_dtype, add_layout, whole_number
from adasr_trl.core.errors import UserError

NEEDED = ("starlette", "uvicorn", "websockets", "prometheus_client")


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr serve``."""
    parser.description = "A page at /, OpenAI's Realtime protocol at /v1/realtime, completions at /v1/chat/completions."
    parser.epilog = "SIGTERM finishes the responses in progress; docs/SERVE.md has the events."
    parser.add_argument("run", help="a finished run, an adapter's directory, or OWNER/NAME")
    parser.add_argument("--host", default="127.0.0.1", help="address (default: this machine only)")
    parser.add_argument("--port", type=_port, default=8080, help="port (default: 8080)")
    parser.add_argument(
        "--max-streams", type=whole_number, default=64, help="live streams at most (default: 64)"
    )
    parser.add_argument(
        "--max-cache-gib",
        type=float,
        metavar="GIB",
        help="memory of all keys and values; a longer stream ends with an event",
    )
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="the environment variable that holds the key"
    )
    parser.add_argument("--model-name", help="its name for clients (default: the run's)")
    parser.add_argument(
        "--backend",
        dest="server",
        metavar="URL",
        help="a completion server writes, such as http://127.0.0.1:8000/v1",
    )
    parser.add_argument(
        "--recogniser",
        metavar="MODEL",
        help="faster-whisper model that hears clients' sound, a directory or a name",
    )
    parser.add_argument("--language", metavar="CODE", help="their spoken language (default: en)")
    parser.add_argument(
        "--idle-seconds", type=float, default=300.0, help="silence that ends a session (300)"
    )
    parser.add_argument(
        "--drain-seconds", type=float, default=30.0, help="time for responses at the end (30)"
    )
    add_layout(parser, "expected layout; a run that was taught the other one is refused")
    add_device(parser)
    add_dtype(parser)
    parser.set_defaults(execute=_execute, temperature=0.0)


def _execute(options: argparse.Namespace) -> int:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"adasr serve: {', '.join(missing)} not installed; pip install 'adasr-trl[serve]'"
        )
    if options.language and not options.recogniser:
        raise UserError(
            "--language: has no effect without --recogniser; name one, or leave it out."
        )
    from adasr_trl.serving.access import read_key

    key = read_key(options.api_key_env, options.host)  # before anything slow is loaded
    from adasr_trl.serving.command import run

    return run(options, key)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a port, 0 to 65535")
    return int(text)
