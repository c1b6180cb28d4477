"""The command line: ``adasr {sft,grpo,hrpo,eval,compare,ablate,report,show,stream,replay,doctor,push,verify}``.

    adasr hrpo --config configs/tiny/hrpo.yaml --learning_rate 1e-5 --resume

Every key of the configuration can be set on the command line, nested ones with dots. Whatever a user can get wrong
ends with one line that says so and exit status 2; an interrupt ends with 130 and can be resumed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adasr_trl import __version__
from adasr_trl.artifacts.directory import Existing
from adasr_trl.cli import live_options as live
from adasr_trl.core.errors import UserError
from adasr_trl.core.piped import run_piped

SUMMARY = "Teach small language models to reason while their input is still arriving."
TRAINING = {
    "sft": "supervised fine-tuning on teacher's traces",
    "grpo": "GRPO with one flat advantage, the baseline",
    "hrpo": "hierarchical relative policy optimization, one advantage for each phase",
    "eval": "answer unseen questions with a finished run and record every rollout",
}

WITHOUT_CONFIG = ("show", "report", "push", "verify", *live.COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    return run_piped(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    options, overrides = _parser().parse_known_args(argv)
    if overrides and options.command in WITHOUT_CONFIG:
        _parser().error(f"{options.command} has no argument {overrides[0]!r}")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "datasets", "transformers", "trl", "accelerate"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    os.environ.setdefault(
        "TRL_EXPERIMENTAL_SILENCE", "1"
    )  # rollout_func is a seam that our tests pin
    try:
        return _run(options, overrides)
    except KeyboardInterrupt:
        again = (
            "the same command"
            if options.command in ("compare", "ablate", *WITHOUT_CONFIG)
            else "the same command with --resume"
        )
        print(f"interrupted; {again} goes on where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise  # whoever read our output has gone
    except OSError as error:
        print(
            f"error: {error.filename or 'input or output'}: {error.strerror or error}",
            file=sys.stderr,
        )
        return 2
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    own = {
        "show": _show,
        "report": _report,
        "push": _push,
        "verify": _verify,
        **dict.fromkeys(live.COMMANDS, _live),
    }
    if options.command in own:
        return own[options.command](options)
    if options.command == "compare":
        from adasr_trl.experiments.grid import compare

        return compare(options, overrides)
    if options.command == "ablate":
        from adasr_trl.experiments.grid import ablate

        return ablate(options, overrides)
    if options.command == "doctor":
        from adasr_trl.cli.doctor import doctor

        return doctor(options.config, overrides)
    print(_train(options, overrides))
    return 0


def _train(options: argparse.Namespace, overrides: list[str]) -> Path:
    from adasr_trl.cli import train

    if options.command == "sft":
        return train.run_sft(options.config, overrides, options.existing)
    if options.command == "eval":
        return train.run_eval(options.config, overrides, options.existing)
    flat = options.command == "grpo"
    return train.run_rl(options.config, overrides, options.existing, flat=flat)


def _live(options: argparse.Namespace) -> int:
    from adasr_trl.live.command import run

    return run(options)


def _show(options: argparse.Namespace) -> int:
    if options.samples:
        from adasr_trl.cli.show_samples import show_samples

        return show_samples(Path(options.run), options.count, options.filter)
    from adasr_trl.cli.show import show_run

    return show_run(Path(options.run), options.count, options.filter, options.file)


def _report(options: argparse.Namespace) -> int:
    from adasr_trl.report import Options, Wanted, write_report

    wanted = Wanted(tuple(options.setting), options.temperature, options.name)
    how = Options(wanted, options.reference, options.questions, options.title)
    print(write_report(options.runs, Path(options.out), how))
    return 0


def _push(options: argparse.Namespace) -> int:
    from adasr_trl.hub.push import Push, preview, push

    names = ("repo", "private", "merge", "without_eval", "with_records")
    how = Push(**{name: vars(options)[name] for name in names})
    print((preview if options.dry_run else push)(Path(options.run), how))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from adasr_trl.hub.verify import Form, verify

    verdict = verify(
        options.model, Form(options.form), device=options.device, revision=options.revision
    )
    print(verdict)
    return 0 if verdict.within else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="adasr", description=SUMMARY)
    parser.add_argument("--version", action="version", version=f"adasr-trl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in TRAINING.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog="Any --key value overrides the file.",
            allow_abbrev=False,
        )
        command.add_argument("--config", required=True, metavar="FILE", help="a YAML file")
        _add_existing(command)
    compare = commands.add_parser(
        "compare",
        help="SFT, RL and baselines from one SFT model, and their table",
        epilog="--STAGE.KEY value overrides a stage's file, such as --hrpo.learning_rate 1e-5.",
        allow_abbrev=False,
    )
    compare.add_argument(
        "--variants", default="hrpo", help="which RL runs: hrpo, grpo, or both (hrpo,grpo)"
    )
    _add_stages(compare)
    ablate = commands.add_parser(
        "ablate", help="a grid of RL variants over seeds, and its tables", allow_abbrev=False
    )
    _add_stages(ablate)
    ablate.add_argument("--tables", help="only these, with commas between; else all of the file")
    ablate.add_argument(
        "--tables-only", action="store_true", help="from the records, running nothing"
    )
    ablate.add_argument("--page", metavar="FILE", help="put each table into its place in this page")
    doctor = commands.add_parser(
        "doctor",
        help="roll out a little and say whether a run can learn, and what it will take",
        epilog="Any --key value overrides the file. Exit status 3: it cannot learn.",
        allow_abbrev=False,
    )
    doctor.add_argument("--config", required=True, metavar="FILE", help="a YAML file")
    show = commands.add_parser("show", help="print recorded rollouts, coloured by phase")
    show.add_argument("run", help="a run that was evaluated")
    show.add_argument("--count", type=int, default=3, help="how many rollouts")
    show.add_argument("--filter", choices=("all", "right", "wrong"), default="all")
    show.add_argument("--file", default=None, help="which records under RUN/eval (else the first)")
    show.add_argument(
        "--samples",
        action="store_true",
        help="the last ones that a training run kept, also while it goes on",
    )
    _add_report(commands)
    live.add_live(commands)
    _add_publishing(commands)
    return parser


def _add_report(commands: Any) -> None:
    report = commands.add_parser(
        "report", help="one self-contained page: table, pictures, and every rollout on a time line"
    )
    report.add_argument(
        "runs", nargs="+", metavar="RUN", help="evaluated runs, NAME=RUN, or a comparison's folder"
    )
    report.add_argument("--out", default="report.html", metavar="FILE", help="the page")
    report.add_argument(
        "--temperature", type=float, default=None, help="of the records (else the lowest recorded)"
    )
    report.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME",
        help="these records, such as streaming-temperature-1; more than one may be given",
    )
    report.add_argument(
        "--name", default=None, help="of the evaluation, for records in RUN/eval-NAME (eval.name)"
    )
    report.add_argument("--reference", default=None, help="whom the others are compared with")
    report.add_argument(
        "--questions", type=int, default=2000, help="how many questions the viewer holds at most"
    )
    report.add_argument("--title", default="Streaming reasoning", help="of the page")


def _add_publishing(commands: Any) -> None:
    push = commands.add_parser("push", help="publish a finished run on the Hub, with a model card")
    push.add_argument("run", help="a finished run")
    push.add_argument("--repo", required=True, metavar="OWNER/NAME", help="where to")
    for flag, summary in (
        ("--private", "make a new repository private"),
        ("--merge", "upload a whole model, the adapter merged into its base"),
        ("--dry-run", "list the files and print the card, upload nothing"),
        ("--without-eval", "publish a run that was not evaluated"),
        ("--with-records", "upload the evaluation's records too, which hold its questions"),
    ):
        push.add_argument(flag, action="store_true", help=summary)
    verify = commands.add_parser(
        "verify", help="load a model and compare its logits with those at training's end"
    )
    verify.add_argument("model", help="a run's directory, or OWNER/NAME on the Hub")
    verify.add_argument(
        "--form",
        choices=("saved", "merged", "4bit"),
        default="saved",
        help="as it is, its adapter merged, or its weights in 4 bits",
    )
    verify.add_argument("--device", default=None, help="such as cpu; a GPU where there is one")
    verify.add_argument("--revision", default=None, help="branch, tag or commit on the Hub")


def _add_stages(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", required=True, metavar="FILE", help="a YAML file")
    command.add_argument("--seeds", type=int, default=1, help="how many seeds")
    command.add_argument("--seed", type=int, default=0, help="the first seed")
    command.add_argument(
        "--layout",
        choices=("interleaved", "parallel"),
        default=None,
        help="the layout of every stage, else the files'; parallel has runs of its own",
    )
    command.add_argument("--quick", action="store_true", help="few steps and questions")
    command.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="stages at once")


def _add_existing(command: argparse.ArgumentParser) -> None:
    group = command.add_mutually_exclusive_group()
    for flag, existing, summary in (
        ("--resume", Existing.RESUME, "go on with this run, or do nothing if it is complete"),
        ("--refresh", Existing.REFRESH, "the same, but start anew if its inputs changed"),
        ("--overwrite", Existing.OVERWRITE, "move what is there to NAME.previous and start anew"),
    ):
        group.add_argument(
            flag, dest="existing", action="store_const", const=existing, help=summary
        )
    command.set_defaults(existing=Existing.REFUSE)
