"""``adasr push`` and ``adasr verify``: finished runs on the Hub, and the check of a loaded model."""

from __future__ import annotations

import argparse
from pathlib import Path

from adasr_trl.cli.arguments import add_device


def add_push(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr push``."""
    parser.add_argument("run", help="a finished run")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="where to")
    for flag, summary in (
        ("--private", "make a new repository private"),
        ("--merge", "upload a whole model, the adapter merged into its base"),
        ("--dry-run", "list the files and print the card, upload nothing"),
        ("--without-eval", "publish a run that was not evaluated"),
        ("--with-records", "upload the evaluation's records too, which hold its questions"),
    ):
        parser.add_argument(flag, action="store_true", help=summary)
    parser.set_defaults(execute=_push)


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``adasr verify``."""
    parser.add_argument("model", help="a run's directory, or OWNER/NAME on the Hub")
    parser.add_argument(
        "--form",
        choices=("saved", "merged", "4bit"),
        default="saved",
        help="as it is, its adapter merged, or its weights in 4 bits",
    )
    add_device(parser)
    parser.add_argument("--revision", default=None, help="branch, tag or commit on the Hub")
    parser.set_defaults(execute=_verify)


def _push(options: argparse.Namespace) -> int:
    from adasr_trl.hub.push import Push, preview, push

    names = ("repo", "private", "merge", "without_eval", "with_records")
    how = Push(**{name: vars(options)[name] for name in names})
    print((preview if options.dry_run else push)(Path(options.run), how))
    return 0


def _verify(options: argparse.Namespace) -> int:
    from adasr_trl.hub.verify import Form, verify

    form = Form(options.form)
    verdict = verify(options.model, form, device=options.device, revision=options.revision)
    print(verdict)
    return 0 if verdict.within else 1
