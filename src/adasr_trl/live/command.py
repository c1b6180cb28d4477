"""``adasr stream`` and ``adasr replay`` as commands: what is loaded, where it is shown, and how it ends.

An interrupt ends with 130, a closed pipe with 141, a terminal that goes away or a termination with 128 and the signal's
number; in each case without a traceback, and with the terminal as it was.
"""

from __future__ import annotations

import argparse
import errno
import gc
import io
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from adasr_trl.core.decoding import read_text
from adasr_trl.core.errors import UserError
from adasr_trl.live.sources import Source, replayed, transcribed, typed

if TYPE_CHECKING:
    from rich.console import Console

    from adasr_trl.live.display_state import Script
    from adasr_trl.live.reasoner import ReadThenThink, StreamingReasoner
    from adasr_trl.live.screen import Closing, Screen
    from adasr_trl.live.session import Session

logger = logging.getLogger(__name__)

INTERRUPTED, PIPE_CLOSED = 130, 141
_CLOSED = (errno.EPIPE, errno.EIO)


def run(options: argparse.Namespace) -> int:
    """Run one of the commands; return the exit status."""
    try:
        with _signals():
            if options.command == "replay":
                from adasr_trl.live.replay import replay

                return replay(options, load)
            return _stream(options)
    except KeyboardInterrupt:
        _leave_quietly("interrupted\n")
        return INTERRUPTED
    except OSError as error:
        if error.errno not in _CLOSED:
            raise
        _leave_quietly("")
        return PIPE_CLOSED


def load(options: argparse.Namespace, layout: str | None) -> StreamingReasoner:
    """The model that the options name."""
    from transformers.utils import logging as transformers_logging

    from adasr_trl.engines import Sampling
    from adasr_trl.live.reasoner import StreamingReasoner

    transformers_logging.disable_progress_bar()
    sampling = Sampling(options.temperature)
    server = vars(options).get("server")
    if server:
        if options.layout == "parallel":
            raise UserError("--server: a completion server has the interleaved layout only.")
        return StreamingReasoner.from_server(server, options.run, sampling=sampling)
    _check_device(options.device)
    found = StreamingReasoner.from_pretrained(
        options.run, layout=layout, dtype=options.dtype, device=options.device, sampling=sampling
    )
    gc.collect()
    gc.freeze()  # a collection over all that was loaded would hold up a token for tenths of a second
    return found


def _check_device(device: str | None) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        first = str(error).splitlines()[0]
        raise UserError(f"--device: got {device!r}, which cannot be used ({first}).") from error


def _stream(options: argparse.Namespace) -> int:
    if not options.question.strip():
        raise UserError("--question: got nothing; say what is asked.")
    source = _source(options)
    logger.info("loading %s", options.run)
    reasoner = load(options, options.layout)
    from adasr_trl.live.device_rates import device_name
    from adasr_trl.live.display_state import Script
    from adasr_trl.live.screen import Opening
    from adasr_trl.live.session import Session

    device = options.server or device_name(options.device)
    opening = Opening(
        question=options.question,
        run=str(options.run),
        layout=reasoner.layout_name,
        device=device,
        temperature=options.temperature,
        seed=options.seed,
    )
    if _is_typed(options) and sys.stdin.isatty():
        logger.info("type the text; Ctrl-D on an empty line ends it")
    with Session(reasoner, options.question, source, seed=options.seed) as session:
        script = Script(session.started)
        with _screen(options, script) as screen:
            screen.begin(opening)
            for moment in session:
                screen.show(moment)
            closing = _closing(options, reasoner, session)
            screen.finish(closing)
        if options.svg:
            from adasr_trl.live.picture import draw

            draw(Path(options.svg), opening, script, closing)
        return 0 if session.answered else 1


def _closing(options: argparse.Namespace, reasoner: StreamingReasoner, session: Session) -> Closing:
    from adasr_trl.core.protocol import Phase
    from adasr_trl.live.screen import NOT_ASKED, Closing

    waited, rollout = session.waited(), session.stream.rollout
    elapsed = time.monotonic() - session.started
    other: ReadThenThink | None = None
    how = NOT_ASKED
    if session.stream.ended_early:
        how = "not measured, since the input was not read to its end"
    elif not options.no_compare:
        try:
            other = reasoner.read_then_think(
                options.question, session.stream.chunks, seed=options.seed
            )
            how = "measured"
        except UserError as error:
            how = f"not measured ({error})"
    return Closing(
        seconds=elapsed,
        wait_seconds=waited.seconds if waited else None,
        first_seconds=waited.first_seconds if waited else None,
        read_then_think_seconds=other.seconds if other else None,
        read_then_think_answer=other.answer if other else None,
        read_then_think=how,
        streaming_tokens=rollout.tokens_in(Phase.STREAM),
        deep_tokens=rollout.tokens_in(Phase.DEEP),
    )


def _is_typed(options: argparse.Namespace) -> bool:
    return not (options.replay or options.transcript)


def _source(options: argparse.Namespace) -> Source:
    if options.replay:
        text = read_text(Path(options.replay), options.encoding)
        return replayed(options.replay, text, options.wpm, options.speed)
    if options.transcript:
        text = read_text(Path(options.transcript), options.encoding)
        return transcribed(options.transcript, text, options.speed)
    if sys.stdin is None or sys.stdin.closed:
        raise UserError("standard input: is closed; pipe a text in, or name a file with --replay.")
    return typed(
        sys.stdin.fileno(),
        "standard input",
        options.pause,
        by_line=sys.stdin.isatty(),
        encoding=options.encoding,
    )


def _screen(options: argparse.Namespace, script: Script) -> Screen:
    from adasr_trl.live.screen import JsonScreen, LineScreen, TerminalScreen

    if options.json:
        return JsonScreen(_write, script)
    console = _console()
    animated = console.is_terminal and not console.is_dumb_terminal
    if animated and not (_is_typed(options) and sys.stdin.isatty()):
        return TerminalScreen(console, script)
    return LineScreen(console, script)


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _console() -> Console:
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> NoReturn:  # rich would leave with status 1
            raise BrokenPipeError(errno.EPIPE, "the reader of the output has gone")

    return Quiet(highlight=False, markup=False, emoji=False)


@contextmanager
def _signals() -> Iterator[None]:
    """A hang-up or termination unwinds like an exit, so that the terminal is given back."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    kept = {number: signal.signal(number, leave) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _leave_quietly(words: str) -> None:
    """Say ``words`` if anybody is there to read them; what is buffered for a reader that has gone is dropped."""
    try:
        sys.stderr.write(words)
        sys.stderr.flush()
    except OSError:
        pass
    if words:
        return
    try:
        descriptor = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):
        return  # not a real file
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
