"""``adasr stream`` and ``adasr replay``: loading, the choice of source and screen, and the exit status.

An interrupt ends with 130, a closed pipe with 141, a hang-up or termination with 128 plus the signal's number; always
without a traceback, and with the terminal as it was.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import gc
import logging
import signal
import sys
import termios
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from adasr_trl.core.decoding import read_text
from adasr_trl.core.demo import DEMO, QUESTION, STORY
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.live.sources import TextSource, replayed, transcribed, typed

if TYPE_CHECKING:
    from adasr_trl.live.display_state import DisplayState
    from adasr_trl.live.reasoner import StreamingReasoner
    from adasr_trl.live.screen import Screen

logger = logging.getLogger(__name__)

ASKED_TWICE = "the text asks the question again: leave it out there; the model has read it, and was taught none in the text"


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; return the exit status."""
    try:
        with _signals():
            if options.command == "replay":
                from adasr_trl.live.replay import replay

                return replay(options, load)
            return _stream(options)
    except KeyboardInterrupt:
        with suppress(OSError):
            sys.stderr.write("interrupted\n")
        return 130
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
    _choose_story(options)
    if not options.question.strip():
        raise UserError("--question: got nothing; expected the question.")
    source = _source(options)
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
    if reasoner.taught_mode is Mode.READ_THEN_THINK:
        logger.warning("%s was taught read-then-think: its thoughts are untrained", options.run)
    if _is_typed_by_hand(options):
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


def _choose_story(options: argparse.Namespace) -> None:
    """Without a question and a text the demo reads a story of its own."""
    options.story = None
    if options.question is not None:
        return
    if options.run != DEMO or options.replay or options.transcript or _holds_text(sys.stdin):
        raise UserError("--question: is missing; name the question, which the model sees first.")
    options.question, options.story = QUESTION, STORY
    logger.info("a story of the demo's own; for yours: adasr stream demo --question '...'")


def _holds_text(stream: TextIO | None) -> bool:
    """Whether a pipe or file has bytes to read; a program's inherited input has none."""
    count = array("i", [0])
    try:
        if stream is None or stream.isatty():
            return False
        fcntl.ioctl(stream.fileno(), termios.FIONREAD, count)
    except (OSError, ValueError):  # no descriptor, a closed one, or a device such as /dev/null
        return False
    return count[0] > 0


def _is_typed_by_hand(options: argparse.Namespace) -> bool:
    return not (options.story or options.replay or options.transcript) and sys.stdin.isatty()


def _source(options: argparse.Namespace) -> TextSource:
    if options.story:
        return replayed(DEMO, options.story, options.wpm, options.speed)
    if path := options.replay or options.transcript:
        text = read_text(Path(path), options.encoding)
        if options.transcript:
            return transcribed(path, text, options.speed)
        return replayed(path, text, options.wpm, options.speed)
    if sys.stdin is None or sys.stdin.closed:
        raise UserError("standard input: is closed; pipe a text in, or name a file with --replay.")
    descriptor, by_line = sys.stdin.fileno(), sys.stdin.isatty()
    name, encoding = "standard input", options.encoding
    return typed(descriptor, name, options.pause, by_line=by_line, encoding=encoding)


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
    has_terminal = is_animated and not _is_typed_by_hand(options)
    return (TerminalScreen if has_terminal else LineScreen)(console, state)


@contextmanager
def _signals() -> Iterator[None]:
    """A hang-up or termination unwinds like an exit: the terminal is given back."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
