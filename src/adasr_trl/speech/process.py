"""The recogniser in a process of its own, so that it never holds up a thought; many streams share it by turns.

    >>> with RecogniserProcess(partial(load_recogniser, "tiny.en")) as recogniser:
    ...     stream = recogniser.open(hearings.put)
    ...     stream.send(block)               # bytes of float32 at 16 kHz, or a form named to open
    ...     stream.flush()                   # the last hearing is FLUSHED

Hearings come in a thread of this class. The process ends with its parent, however that ends; a crash of it reaches every
stream as FAILED. A stream counts the sound that waits (``behind_seconds``): its sender bounds it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.core.interrupts import interrupts_held
from adasr_trl.speech.encodings import BYTES, Encoding
from adasr_trl.speech.listener import Hearing, HearingKind, Listener
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.pcm import PcmDecoder
from adasr_trl.speech.recognition import RecogniserSettings
from adasr_trl.speech.words import SAMPLE_RATE, Samples, Transcriber, VoiceDetector

CLOSE_SECONDS = 5.0  # longest wait for the end of the process
OnHearing = Callable[[Hearing], None]


@dataclass(frozen=True)
class Recogniser:
    """What a process needs: one transcriber, and a voice detector for each stream."""

    transcriber: Transcriber
    new_voice: Callable[[], VoiceDetector]
    settings: RecogniserSettings = field(default_factory=RecogniserSettings)


def load_recogniser(model: str, language: str = "en", threads: int = 1) -> Recogniser:
    """A faster-whisper model by its directory or name, and silero's voice detector.

    Raises:
        UserError: There is no such model, or libraries are missing.
    """
    from adasr_trl.speech.voice_activity import SileroVoice
    from adasr_trl.speech.whisper import FasterWhisper

    load_package("tqdm").tqdm.set_lock(threading.RLock())  # its own would outlive a killed process
    SileroVoice()  # what is missing is said now
    whisper = FasterWhisper(model, language=language, threads=threads)
    whisper.transcribe(np.zeros(SAMPLE_RATE, np.float32))  # the first time takes seconds
    return Recogniser(whisper, SileroVoice)


@dataclass(frozen=True)
class SoundForm:
    """Form of a stream: of its bytes, and the silence that ends what was said (None: the recogniser's)."""

    encoding: Encoding = Encoding.PCM16
    rate: int = 24_000
    pause_seconds: float | None = None


class RecogniserProcess(AbstractContextManager["RecogniserProcess"]):
    """See the module. ``load`` is called in the process, so it must be picklable.

    Raises:
        UserError: The recogniser cannot be loaded.
    """

    def __init__(self, load: Callable[[], Recogniser]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(load, theirs), name="adasr-recogniser", daemon=True
        )
        self._streams: dict[int, tuple[SoundStream, OnHearing]] = {}
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._opened, self._closed = 0, False
        with interrupts_held():
            self._process.start()
        theirs.close()
        try:
            refusal = self._connection.recv()
        except (EOFError, OSError):
            refusal = self._ending()
        if refusal:
            self.close()
            raise UserError(refusal)
        self._thread = threading.Thread(target=self._receive, name="adasr-hearing", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether streams can be opened."""
        return self._process.is_alive() and not self._closed

    def open(
        self, on_hearing: OnHearing, form: SoundForm | None = None, *, prompt: str = ""
    ) -> SoundStream:
        """A new stream; without a form its sound is float32 at 16 kHz. A prompt names words that may be said."""
        with self._lock:
            self._opened += 1
            stream = SoundStream(self._opened, self, form)
            self._streams[stream.number] = stream, on_hearing
        self.tell("open", stream.number, (form, prompt))
        return stream

    def forget(self, number: int) -> None:
        """No more hearings of a stream."""
        with self._lock:
            self._streams.pop(number, None)
        self.tell("close", number, None)

    def tell(self, what: str, number: int, value: object) -> None:
        """Tell the process something of a stream; nothing where it has ended, which the stream hears."""
        with self._sending, suppress(OSError):
            self._connection.send((what, number, value))

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._closed = True
        self._process.terminate()
        self._process.join(CLOSE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        with self._sending:
            self._connection.close()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _receive(self) -> None:
        while True:
            try:
                number, heard_seconds, hearings = self._connection.recv()
            except (EOFError, OSError, TypeError):  # TypeError: closed while it waits
                break
            with self._lock:
                stream, on_hearing = self._streams.get(number, (None, None))
            if stream is None or on_hearing is None:
                continue
            stream.heard_seconds = heard_seconds
            for hearing in hearings:
                on_hearing(hearing)
        if not self._closed:
            self._fail(self._ending())

    def _fail(self, reason: str) -> None:
        with self._lock:
            streams, self._streams = list(self._streams.values()), {}
        for stream, on_hearing in streams:
            on_hearing(Hearing(HearingKind.FAILED, stream.heard_seconds, reason=reason))

    def _ending(self) -> str:
        self._process.join(CLOSE_SECONDS)
        return (
            f"recogniser: its process ended (exit code {self._process.exitcode}); start it again."
        )


class SoundStream:
    """One speaker's way to the process.

    Attributes:
        number: Of the stream.
        sent_seconds: Sound that was sent.
        heard_seconds: Sound that the recogniser has taken in.
    """

    def __init__(self, number: int, process: RecogniserProcess, form: SoundForm | None) -> None:
        self.number = number
        self.sent_seconds = self.heard_seconds = 0.0
        self._process = process
        self._bytes_per_second = bytes_per_second(form)

    @property
    def behind_seconds(self) -> float:
        """Sound that waits for the recogniser."""
        return self.sent_seconds - self.heard_seconds

    def seconds_of(self, data: bytes) -> float:
        """Length of a piece."""
        return len(data) / self._bytes_per_second

    def send(self, data: bytes) -> None:
        """More sound, of any length; returns at once."""
        self.sent_seconds += self.seconds_of(data)
        self._process.tell("sound", self.number, data)

    def flush(self) -> None:
        """All that is said so far ends here; its words are among the hearings to come."""
        self._process.tell("flush", self.number, None)

    def close(self) -> None:
        """No more hearings."""
        self._process.forget(self.number)


def bytes_per_second(form: SoundForm | None) -> int:
    """Of a stream's sound."""
    if form is None:
        return 4 * SAMPLE_RATE
    return form.rate * BYTES[form.encoding]


# ---- in the process


def _work(load: Callable[[], Recogniser], connection: Connection) -> None:
    """The process: a thread takes messages, this one recognises."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        recogniser = load()
    except UserError as error:
        connection.send(str(error))
        return
    desk = _Desk(recogniser)
    threading.Thread(target=desk.take, args=(connection,), daemon=True).start()
    connection.send("")
    with suppress(OSError):  # the parent has gone
        for message in desk.hearings():
            connection.send(message)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)


class _Desk:
    """The streams of the process, served by turns."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._streams: dict[int, _Stream] = {}
        self._changed = threading.Condition()

    def take(self, connection: Connection) -> None:
        """Take what comes; the end of the connection ends the process."""
        while True:
            try:
                what, number, value = connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            with self._changed:
                if what == "open":
                    self._streams[number] = _Stream(self._recogniser, *value)
                elif what == "close":
                    self._streams.pop(number, None)
                elif number in self._streams:
                    self._streams[number].waiting.append(value)
                self._changed.notify()

    def hearings(self) -> Iterator[tuple[int, float, list[Hearing]]]:
        """Number, position and new hearings of the streams, for as long as the process lives."""
        while True:
            with self._changed:
                while not (due := [each for each in self._streams.items() if each[1].waiting]):
                    self._changed.wait()
            for number, stream in due:
                hearings = stream.advance()
                yield number, stream.seconds, hearings


class _Stream:
    """Sound that waits, and what hears it; None in ``waiting`` is a flush."""

    def __init__(self, recogniser: Recogniser, form: SoundForm | None, prompt: str) -> None:
        self.waiting: list[bytes | None] = []
        self._decoder = PcmDecoder(form.encoding, form.rate) if form else None
        settings = recogniser.settings
        if form and form.pause_seconds is not None:
            settings = replace(settings, pause_seconds=form.pause_seconds)
        self._listener = Listener(
            recogniser.transcriber, recogniser.new_voice(), settings, prompt=prompt
        )

    @property
    def seconds(self) -> float:
        return self._listener.seconds

    def advance(self) -> list[Hearing]:
        """Hear all that waits."""
        waiting, self.waiting = self.waiting, []
        hearings: list[Hearing] = []
        while waiting:
            end = waiting.index(None) if None in waiting else len(waiting)
            sound = b"".join(data for data in waiting[:end] if data)
            hearings += self._listener.feed(self._samples(sound))
            if end < len(waiting):
                if self._decoder:
                    hearings += self._listener.feed(self._decoder.flush())
                hearings += self._listener.flush()
            waiting = waiting[end + 1 :]
        return hearings

    def _samples(self, data: bytes) -> Samples:
        if self._decoder:
            return self._decoder.feed(data)
        return np.frombuffer(data, np.float32)
