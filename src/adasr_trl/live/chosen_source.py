"""The source that the options of ``adasr stream`` name: a pipe, a terminal, a file, a transcript or sound.

    >>> with chosen_source(options) as source:       # options.question is set where the demo tells its own story
    ...     Session(reasoner, options.question, source)

An option without effect on the chosen source is refused.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import sys
import termios
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TextIO

from adasr_trl.core.decoding import UTF_8, read_text
from adasr_trl.core.demo import DEMO, QUESTION, STORY
from adasr_trl.core.errors import UserError
from adasr_trl.live.sources import TextSource, replayed, transcribed, typed

logger = logging.getLogger(__name__)

WORDS_PER_MINUTE, SPEED, TYPED_PAUSE_SECONDS = 150.0, 1.0, 1.0
RECOGNISER, LANGUAGE = "tiny.en", "en"
STANDARD_INPUT, MICROPHONE = "-", "mic"  # of --audio


class Kind(Enum):
    """Kind of a source, by its name in errors."""

    STORY = "the demo's own story"
    REPLAY = "--replay"
    TRANSCRIPT = "--transcript"
    SOUND_FILE = "--audio FILE"
    SOUND_PIPE = "--audio -"
    MICROPHONE = "--audio mic"
    TYPED = "standard input"


_PLAYED = {Kind.STORY, Kind.REPLAY, Kind.TRANSCRIPT, Kind.SOUND_FILE}
_SOUND = {Kind.SOUND_FILE, Kind.SOUND_PIPE, Kind.MICROPHONE}
_EFFECTS = {
    "wpm": {Kind.STORY, Kind.REPLAY},
    "speed": _PLAYED,
    "encoding": {Kind.REPLAY, Kind.TRANSCRIPT, Kind.TYPED},
    "pause": {Kind.TYPED},
    "recogniser": _SOUND,
    "language": _SOUND,
    "rate": {Kind.SOUND_PIPE},
}


def choose_story(options: argparse.Namespace) -> None:
    """Without a question and a text the demo reads a story of its own."""
    options.story = None
    if options.question is not None:
        return
    is_text = options.replay or options.transcript or options.audio or _holds_text(sys.stdin)
    if options.run != DEMO or is_text:
        raise UserError("--question: is missing; name the question, which the model sees first.")
    options.question, options.story = QUESTION, STORY
    logger.info("a story of the demo's own; for yours: adasr stream demo --question '...'")


def is_typed_by_hand(options: argparse.Namespace) -> bool:
    """Whether somebody types the text."""
    return kind_of(options) is Kind.TYPED and sys.stdin.isatty()


def kind_of(options: argparse.Namespace) -> Kind:
    """The kind of source."""
    if options.story:
        return Kind.STORY
    if options.audio:
        special = {STANDARD_INPUT: Kind.SOUND_PIPE, MICROPHONE: Kind.MICROPHONE}
        return special.get(options.audio, Kind.SOUND_FILE)
    if options.replay:
        return Kind.REPLAY
    return Kind.TRANSCRIPT if options.transcript else Kind.TYPED


@contextmanager
def chosen_source(options: argparse.Namespace) -> Iterator[TextSource]:
    """The source; what it needs ends with the block. A UserError names what is wrong with it."""
    kind = kind_of(options)
    for name, kinds in _EFFECTS.items():
        if vars(options)[name] is not None and kind not in kinds:
            raise UserError(f"--{name}: has no effect on {kind.value}; leave it out.")
    if kind in _SOUND:
        with _sound(options, kind) as source:
            yield source
    else:
        yield _text(options, kind)


def recogniser_threads() -> int:
    """Half of the cores, at most 4: the others are the model's."""
    return min(max((os.cpu_count() or 1) // 2, 1), 4)


def _text(options: argparse.Namespace, kind: Kind) -> TextSource:
    words_per_minute = options.wpm or WORDS_PER_MINUTE
    speed, encoding = options.speed or SPEED, options.encoding or UTF_8
    if kind is Kind.STORY:
        return replayed(DEMO, options.story, words_per_minute, speed)
    if path := options.replay or options.transcript:
        text = read_text(Path(path), encoding)
        if options.transcript:
            return transcribed(path, text, speed)
        return replayed(path, text, words_per_minute, speed)
    descriptor = _standard_input("a text in, or name a file with --replay")
    by_line = sys.stdin.isatty()
    pause = options.pause or TYPED_PAUSE_SECONDS
    return typed(descriptor, "standard input", pause, by_line=by_line, encoding=encoding)


@contextmanager
def _sound(options: argparse.Namespace, kind: Kind) -> Iterator[TextSource]:
    from adasr_trl.live.heard import heard, played
    from adasr_trl.speech.capture import microphone, piped
    from adasr_trl.speech.process import RecogniserProcess, load_recogniser
    from adasr_trl.speech.sound_files import begun, sound_blocks

    name = options.audio
    if kind is Kind.SOUND_FILE:
        sound = played(begun(sound_blocks(Path(name))), options.speed or SPEED)
    elif kind is Kind.SOUND_PIPE:
        name = "standard input"
        descriptor = _standard_input("sound in, or name a file with --audio")
        sound = partial(piped, descriptor, name, options.rate)
    else:
        name, sound = "microphone", microphone(sys.stdin)
        logger.info("speak when the question is shown; Enter or Ctrl-D ends the input")
    model, language = options.recogniser or RECOGNISER, options.language or LANGUAGE
    logger.info("loading the recogniser %s", model)
    load = partial(load_recogniser, model, language, recogniser_threads())
    with RecogniserProcess(load) as recogniser:
        yield heard(recogniser, sound, name, options.question)


def _standard_input(what: str) -> int:
    if sys.stdin is None or sys.stdin.closed:
        raise UserError(f"standard input: is closed; pipe {what}.")
    return sys.stdin.fileno()


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
