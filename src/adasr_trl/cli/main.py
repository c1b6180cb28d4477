"""The command line ``adasr``: its commands, and how a command ends.

    adasr hrpo --config configs/tiny/hrpo.yaml --learning_rate 1e-5 --resume

Only the chosen command's module is imported; it stands beside its arguments. A user's error ends with one line and exit
status 2, an interrupt with 130.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from adasr_trl import __version__
from adasr_trl.cli.data import builders
from adasr_trl.core.errors import UserError, told
from adasr_trl.core.interrupts import INTERRUPTED, ignore_interrupts
from adasr_trl.core.piped import run_piped
from adasr_trl.core.startup import begin, end_with_parent, is_first_process

SUMMARY = "Teach small language models to reason while their input is still arriving."
NOISY = ("httpx", "datasets", "transformers", "trl", "accelerate")

# Command: module and function of its arguments, and its line of help.
COMMANDS = {
    "data": (
        "data:add_data",
        "episodes from own or public data: build, inspect, teach (adasr data --help)",
    ),
    "sft": ("train:add_training", "supervised fine-tuning on teacher's traces"),
    "grpo": ("train:add_training", "GRPO on the sum of all rewards, the baseline"),
    "hrpo": (
        "train:add_training",
        "hierarchical relative policy optimization, one advantage for each phase",
    ),
    "eval": (
        "evaluate:add_eval",
        "answers to unseen questions by finished runs, every rollout recorded",
    ),
    "compare": (
        "experiments:add_compare",
        "SFT, RL and baselines from one SFT model, and their table",
    ),
    "ablate": ("experiments:add_ablate", "a grid of RL variants over seeds, and its tables"),
    "doctor": ("doctor:add_doctor", "a few rollouts: can a run learn, and what will it take"),
    "keys": ("keys:add_keys", "the keys that a command obeys: type, default, meaning"),
    "show": ("show:add_show", "recorded rollouts, coloured by phase"),
    "report": ("report:add_report", "one page: verdict, every rollout on a time line, charts"),
    "sweep": (
        "report:add_sweep",
        "accuracy over latency by arrival speed and deep budget, from records",
    ),
    "corrections": (
        "report:add_corrections",
        "accuracy lost when a fact is corrected late, from records",
    ),
    "stream": ("live:add_stream", "a finished run on text as it arrives: its thoughts and answer"),
    "replay": (
        "live:add_replay",
        "questions in real time, and their answer latency against the clock's",
    ),
    "serve": ("serve:add_serve", "many live streams over the network, and a page to try it on"),
    "push": ("publish:add_push", "a finished run on the Hub, with a model card"),
    "verify": ("publish:add_verify", "a loaded model's logits against those at training's end"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    if argv is None:
        _speak_utf_8()
    try:
        status = run_piped(lambda: _main(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # while the modules of the command were loaded
        print("interrupted; run the same command again", file=sys.stderr)
        status = INTERRUPTED
    if argv is None and status == INTERRUPTED:
        ignore_interrupts()  # a second one would write a traceback while Python ends
    return status


def _speak_utf_8() -> None:
    """Start again in Python's UTF-8 mode where the locale lacks it: names of files and texts are UTF-8."""
    is_utf_8 = sys.getfilesystemencoding() == "utf-8"
    if not is_utf_8 and os.environ.get("PYTHONUTF8") != "1" and not sys.flags.ignore_environment:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, sys.orig_argv)


def _main(argv: Sequence[str]) -> int:
    if argv[:1] == ["data"]:  # has options and sources of its own
        return builders(argv[1:])
    if argv[:1] in ([], ["help"]):
        return _main([*argv[1:2], "--help"])
    options = _options(argv)
    level = logging.INFO if is_first_process() else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    end_with_parent()
    begin(f"adasr {options.command}")
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # tests pin rollout_func
    try:
        status: int = options.execute(options)
    except KeyboardInterrupt:
        flag = " with --resume" if "existing" in options else ""
        print(f"interrupted; the same command{flag} goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise  # the reader of our output has gone
    except OSError as error:
        print(f"error: {told(error)}", file=sys.stderr)
        return 2
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _options(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command, and its overrides; an unknown word ends the process."""
    parser = _parser(argv)
    if not argv[0].startswith("-") and argv[0] not in COMMANDS:
        close = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(COMMANDS)}."
        parser.error(f"there is no command {argv[0]!r}; {hint}")
    options, overrides = parser.parse_known_args(argv)
    if overrides and "config" not in options:
        names = [f"--{name.replace('_', '-')}" for name in vars(options)]
        close = difflib.get_close_matches(overrides[0].partition("=")[0], names, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        parser.error(f"{options.command} has no argument {overrides[0]!r}{hint}")
    if "config" in options and options.config is None:
        name = "hrpo" if options.command == "doctor" else options.command
        options.wrong(
            f"{options.command} needs --config FILE, such as configs/tiny/{name}.yaml, which is in the package too; any "
            f"--key value overrides it"
        )
    options.overrides = overrides
    return options


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of the one in ``argv``."""
    parser = argparse.ArgumentParser(prog="adasr", description=SUMMARY)
    parser.add_argument("--version", action="version", version=f"adasr-trl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (arguments, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name in argv[:1]:
            module, _, function = arguments.partition(":")
            vars(importlib.import_module(f"adasr_trl.cli.{module}"))[function](command)
    return parser
