"""``adasr stream`` and ``adasr replay``: loading, the choice of source and screen, and the exit status.

An interrupt ends with 130, a closed pipe with 141, a hang-up or termination with 128 plus the signal's number; always
without a traceback, and with the terminal as it was.
"""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from adasr_trl.core.errors import UserError
from adasr_trl.core.interrupts import INTERRUPTED, unwound_ends
from adasr_trl.core.protocol import Mode
from adasr_trl.live.chosen_source import choose_story, chosen_source, is_typed_by_hand
from adasr_trl.live.sources import TextSource

if TYPE_CHECKING:
    from adasr_trl.live.display_state import DisplayState
    from adasr_trl.live.reasoner import StreamingReasoner
    from adasr_trl.live.screen import Screen

logger = logging.getLogger(__name__)

ASKED_TWICE = "the text asks the question again: leave it out there; the model has read it, and was taught none in the text"


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; return the exit status."""
    try:
        with unwound_ends():
            if options.command == "replay":
                from adasr_trl.live.replay import replay

                return replay(options, load)
            return _stream(options)
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stderr.write("interrupted\n")
        return INTERRUPTED
    except OSError as error:
        if error.errno == errno.EIO:  # the terminal has gone
            raise BrokenPipeError(*error.args) from error
        raise


def load(options: argparse.Namespace) -> StreamingReasoner:
    """The reasoner that the options name."""
    from transformers.utils import logging as transformers_logging

    from adasr_trl.engines import Sampling
    from adasr_trl.live.reasoner import StreamingReasoner

    logger.info("loading %s", options.run)
    transformers_logging.disable_progress_bar()
    sampling = Sampling(options.temperature)
    if server := vars(options).get("server"):
        if options.layout == "parallel":
            raise UserError("--server: a completion server has the interleaved layout only.")
        return StreamingReasoner.from_server(server, options.run, sampling=sampling)
    _check_device(options.device)
    reasoner = StreamingReasoner.from_pretrained(
        options.run,
        layout=options.layout,
        dtype=options.dtype,
        device=options.device,
        sampling=sampling,
    )
    gc.collect()
    gc.freeze()  # a collection over all loaded objects would delay a token by tenths of a second
    return reasoner


def _check_device(device: str | None) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        reason = str(error).splitlines()[0]
        raise UserError(f"--device: got {device!r}, which cannot be used ({reason}).") from error


def _stream(options: argparse.Namespace) -> int:
    choose_story(options)
    if not options.question.strip():
        raise UserError("--question: got nothing; expected the question.")
    with chosen_source(options) as source:
        return _run(options, source)


def _run(options: argparse.Namespace, source: TextSource) -> int:
    reasoner = load(options)
    from adasr_trl.live.device_rates import device_name
    from adasr_trl.live.display_state import DisplayState
    from adasr_trl.live.screen import StreamHeader
    from adasr_trl.live.session import Session, asks_again

    header = StreamHeader(
        question=options.question,
        run=str(options.run),
        layout=reasoner.layout_name,
        device=options.server or device_name(options.device),
        temperature=options.temperature,
        seed=options.seed,
    )
    if (taught := reasoner.taught_mode) is not Mode.STREAMING:
        words = taught.value.replace("_", "-")
        logger.warning("%s was taught %s: its thoughts are untrained", options.run, words)
    if is_typed_by_hand(options):
        logger.info("type the text: . ? ! or an empty line ends a sentence, Ctrl-D the input")
    with Session(reasoner, options.question, source, seed=options.seed) as session:
        state, is_asked_twice = DisplayState(session.started), False
        with _screen(options, state) as screen:
            screen.begin(header)
            for update in session:
                screen.show(update)
                is_asked_twice |= asks_again(update, options.question)
            summary = session.summary(compare=not options.no_compare)
            screen.finish(summary)
        if is_asked_twice:
            logger.warning(ASKED_TWICE)
        if options.svg:
            from adasr_trl.live.picture import draw

            draw(Path(options.svg), header, state, summary)
    return 0 if summary.failure is None else 1


def _screen(options: argparse.Namespace, state: DisplayState) -> Screen:
    from rich.console import Console

    from adasr_trl.live.screen import JsonScreen, LineScreen, TerminalScreen

    class QuietConsole(Console):
        def on_broken_pipe(self) -> NoReturn:  # rich would leave with status 1
            raise BrokenPipeError(errno.EPIPE, "the output was closed")

    if options.json:
        return JsonScreen(sys.stdout, state)
    console = QuietConsole(highlight=False, markup=False, emoji=False)
    is_animated = console.is_terminal and not console.is_dumb_terminal
    has_terminal = is_animated and not is_typed_by_hand(options)
    return (TerminalScreen if has_terminal else LineScreen)(console, state)
