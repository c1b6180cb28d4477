"""One speaker's sound as words, pauses and turns.

    >>> listener = Listener(transcriber, SileroVoice())
    >>> for block in sound_blocks(path):
    ...     for event in listener.feed(block):
    ...         event.kind, event.seconds, event.words
    >>> listener.flush()[-1].kind
    HearingKind.FLUSHED

Recognition and the voice detector are in ``recognition``; the process around many listeners is in ``process``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from adasr_trl.core.segments import PAUSE_SECONDS
from adasr_trl.speech.recognition import RecogniserSettings, StreamingRecogniser
from adasr_trl.speech.words import SAMPLE_RATE, HeardWord, Samples, Transcriber, VoiceDetector


class HearingKind(Enum):
    """Kind of a hearing."""

    STARTED = "started"  # somebody speaks
    WORDS = "words"  # words that are never withdrawn
    STOPPED = "stopped"  # silence; all words before it are there
    PAUSE = "pause"  # a silence that ends a chunk whatever was said
    FLUSHED = "flushed"  # all words of the sound so far are there
    FAILED = "failed"  # of the recogniser; nothing more comes


@dataclass(frozen=True)
class Hearing:
    """What was heard.

    Attributes:
        kind: Its kind.
        seconds: Position in the sound at which it was known.
        words: For WORDS, the new ones in order.
        voice_seconds: Length of all voice so far.
        reason: For FAILED, in words.
    """

    kind: HearingKind
    seconds: float
    words: tuple[HeardWord, ...] = ()
    voice_seconds: float = 0.0
    reason: str = ""


class Listener:
    """See the module; ``feed`` takes as long as the recogniser does."""

    def __init__(
        self,
        transcriber: Transcriber,
        voice: VoiceDetector,
        settings: RecogniserSettings | None = None,
        *,
        prompt: str = "",
    ) -> None:
        settings = settings or RecogniserSettings()
        self._watch = _Watch(voice, settings.pause_seconds)
        self._recogniser = StreamingRecogniser(transcriber, self._watch, settings, prompt=prompt)
        self._samples = 0

    @property
    def seconds(self) -> float:
        """Length of the sound so far."""
        return self._samples / SAMPLE_RATE

    def feed(self, samples: Samples) -> list[Hearing]:
        """More sound, (samples,), of any length; of a long piece only the last state is transcribed."""
        self._samples += len(samples)
        words = self._recogniser.feed(samples, catch_up=True)
        return self._in_order(words, self._watch.taken())

    def flush(self) -> list[Hearing]:
        """All that is said so far ends here; more may follow."""
        hearings = self._in_order(self._recogniser.finish(), self._watch.taken())
        return [*hearings, self._hearing(HearingKind.FLUSHED, self.seconds)]

    def _in_order(
        self, words: Sequence[HeardWord], turns: Iterable[tuple[HearingKind, float]]
    ) -> list[Hearing]:
        """Words before the silence that they were said before."""
        hearings: list[Hearing] = []
        for kind, seconds in turns:
            before = tuple(word for word in words if word.start_seconds < seconds)
            if kind is not HearingKind.STARTED and before:
                hearings.append(self._hearing(HearingKind.WORDS, self.seconds, before))
                words = words[len(before) :]
            hearings.append(self._hearing(kind, seconds))
        if words:
            hearings.append(self._hearing(HearingKind.WORDS, self.seconds, tuple(words)))
        return hearings

    def _hearing(
        self, kind: HearingKind, seconds: float, words: tuple[HeardWord, ...] = ()
    ) -> Hearing:
        return Hearing(kind, seconds, words, self._watch.voice_seconds)


class _Watch:
    """A voice detector that notes where somebody starts and stops to speak.

    Attributes:
        voice_seconds: Length of all voice so far.
    """

    def __init__(self, voice: VoiceDetector, stop_seconds: float) -> None:
        self._voice, self._stop_seconds = voice, stop_seconds
        self._turns: list[tuple[HearingKind, float]] = []
        self._seconds = self.voice_seconds = 0.0
        self._silence = float("inf")  # seconds since the last voice

    def is_voice(self, frame: Samples) -> bool:
        """See ``VoiceDetector``."""
        length = len(frame) / SAMPLE_RATE
        is_voice, before = self._voice.is_voice(frame), self._silence
        self._seconds += length
        if is_voice:
            self._silence = 0.0
            self.voice_seconds += length
            if before >= self._stop_seconds:
                self._turns.append((HearingKind.STARTED, self._seconds - length))
            return True
        self._silence += length
        for kind, limit in (
            (HearingKind.STOPPED, self._stop_seconds),
            (HearingKind.PAUSE, max(PAUSE_SECONDS, self._stop_seconds)),
        ):
            if before < limit <= self._silence:
                self._turns.append((kind, self._seconds))
        return False

    def taken(self) -> list[tuple[HearingKind, float]]:
        """The turns since the last call."""
        turns, self._turns = self._turns, []
        return turns
