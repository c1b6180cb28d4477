"""Sound that comes as it comes: from a pipe, and from a microphone.

    >>> for block in piped(0, "standard input", None, stop):     # WAV or another format with a header
    ...     stream.send(block.tobytes())
    >>> sound = microphone(sys.stdin)                             # until Enter or Ctrl-D

Both stop within a tenth of a second of their event. The microphone is ``sounddevice``'s (PortAudio).
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import select
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from adasr_trl.core.errors import UserError
from adasr_trl.speech.encodings import Encoding
from adasr_trl.speech.pcm import PcmDecoder
from adasr_trl.speech.sound import SoundError, decoded
from adasr_trl.speech.wav_header import WavHeader, read_header
from adasr_trl.speech.wav_sound import wav_blocks
from adasr_trl.speech.words import Samples

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1  # longest delay between a stop and its effect
MOST_BLOCKS = 600  # of a tenth of a second, that wait for a slow recogniser
_HEAD = 8  # bytes that tell an MP4
SEEKING = "an MP4 whose index is at its end must be given by its path"
RAW = "for sound without a header give its rate with --rate"


def piped(descriptor: int, name: str, rate: int | None, stop: threading.Event) -> Iterator[Samples]:
    """Blocks of a pipe's sound, (samples,), as it comes; with a rate it is raw PCM of 16 bits and one channel.

    Raises:
        SoundError: It is no sound, or there is none.
    """
    pipe = Pipe(descriptor, stop)
    head = b""
    while len(head) < _HEAD and (piece := pipe.read(_HEAD - len(head))):
        head += piece
    pipe.put_back(head)
    try:
        yield from _blocks(pipe, name, rate)
    except SoundError as error:
        if stop.is_set():
            return
        hint = SEEKING if head[4:] == b"ftyp" else RAW
        rest = f"; {hint}." if rate is None else "."
        raise SoundError(f"{str(error).removesuffix('.')}{rest}") from error


def _blocks(pipe: Pipe, name: str, rate: int | None) -> Iterator[Samples]:
    header = read_header(pipe, name)
    if header and rate:
        raise SoundError(f"{name}: has the header of a WAV; leave --rate out.")
    if rate:
        header = WavHeader(Encoding.PCM16, rate, 1, None, 2)
    yield from wav_blocks(pipe, header, name) if header else decoded(pipe, name)


class Pipe:
    """A descriptor as a file that gives what is there, and ends at a stop."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor, self._stop = descriptor, stop
        self._back = b""

    def read(self, size: int) -> bytes:
        """At most so many bytes, as soon as there are any; none at the end."""
        if self._back:
            data, self._back = self._back[:size], self._back[size:]
            return data
        while size and not self._stop.is_set():
            if is_ready(self._descriptor, POLL_SECONDS):
                return os.read(self._descriptor, size)
        return b""

    def put_back(self, data: bytes) -> None:
        """Read these bytes again."""
        self._back = data + self._back

    def is_ready(self, seconds: float) -> bool:
        """Whether ``read`` returns within so many seconds."""
        return bool(self._back) or is_ready(self._descriptor, seconds)


def is_ready(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read within so many seconds; the end of the input is."""
    return bool(select.select([descriptor], [], [], seconds)[0])


def microphone(keyboard: TextIO | None) -> Callable[[threading.Event], Iterator[Samples]]:
    """The default microphone's sound until Enter or Ctrl-D at the keyboard, if that is a terminal.

    Raises:
        UserError: ``sounddevice`` is missing, or there is no microphone.
    """
    try:
        sounddevice = importlib.import_module("sounddevice")
    except (ImportError, OSError) as error:  # OSError: PortAudio is missing
        raise UserError(
            f"--audio mic: needs sounddevice and PortAudio ({error}); pip install sounddevice, and "
            f"install PortAudio (Debian: libportaudio2)."
        ) from error
    try:
        rate = int(sounddevice.query_devices(kind="input")["default_samplerate"])
    except (sounddevice.PortAudioError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--audio mic: no microphone was found ({reason}).") from error
    return lambda stop: _recorded(sounddevice, rate, keyboard, stop)


def _recorded(
    sounddevice: Any, rate: int, keyboard: TextIO | None, stop: threading.Event
) -> Iterator[Samples]:
    blocks: queue.Queue[bytes] = queue.Queue(MOST_BLOCKS)
    decoder, lost = PcmDecoder(Encoding.PCM16, rate), 0

    def take(data: Any, _frames: int, _time: Any, status: Any) -> None:
        nonlocal lost
        lost += bool(status)
        try:
            blocks.put_nowait(bytes(data))
        except queue.Full:
            lost += 1

    form = {"samplerate": rate, "channels": 1, "dtype": "int16", "blocksize": rate // 10}
    try:
        with sounddevice.RawInputStream(callback=take, **form):
            while not (stop.is_set() or _is_told_to_end(keyboard)):
                try:
                    yield decoder.feed(blocks.get(timeout=POLL_SECONDS))
                except queue.Empty:
                    continue
    except sounddevice.PortAudioError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--audio mic: the microphone cannot be opened ({reason}).") from error
    if lost:
        logger.warning("microphone: %d blocks of sound were lost", lost)


def _is_told_to_end(keyboard: TextIO | None) -> bool:
    if keyboard is None or keyboard.closed or not keyboard.isatty():
        return False
    return is_ready(keyboard.fileno(), 0.0)
