"""Words of a stream of sound, each as soon as two hypotheses in a row agree on it (LocalAgreement-2).

    recogniser = StreamingRecogniser(FasterWhisper("tiny.en"), SileroVoice())
    for samples in blocks:
        heard += recogniser.feed(samples)
    heard += recogniser.finish()

The method is that of Macháček et al. 2023, "Turning Whisper into Real-Time Transcription System" (arXiv 2307.14743). The
sound since the last cut is transcribed again at every interval. What two hypotheses share is committed and never
withdrawn. The text before the cut is the prompt of what follows. Ours is what happens at pauses: all is committed, and the
sound is forgotten. Ours too are the question in the prompt, and that sound without voice is never transcribed, as Whisper
hears words in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.speech.words import (
    FRAME,
    SAMPLE_RATE,
    HeardWord,
    Samples,
    Transcriber,
    VoiceDetector,
    Word,
    plain,
    text_of,
    usable,
)

_STOPS = (".", "?", "!", "\u3002", "\uff1f", "\uff01")
_ENDS_SENTENCE = re.compile(r"(?:\w\w|\d)\.$|[?!]$")  # but for a.m. and initials
_CLOSING = "\"')]\u201d\u2019"
_TOUCHES_SECONDS = 0.2  # from the end of the sound
_LEAD_FRAMES = 10  # of silence that are kept before a voice: its first sound is found late
_CONTEXT = 160  # characters of what was said that are a prompt for what follows
# Whisper goes on in the style of its prompt: behind a question, without full stops.
_OPENING = "OK."


@dataclass(frozen=True)
class RecogniserSettings:
    """Times of a streaming recogniser.

    Attributes:
        interval_seconds: Sound between two hypotheses.
        pause_seconds: Silence after which everything said is committed.
        longest_seconds: Sound that is transcribed again at most; Whisper reads up to 30 seconds.
        lag_seconds: Added to the time at which a word is heard: what recognition takes where it is not measured.
    """

    interval_seconds: float = 1.0
    pause_seconds: float = 0.5
    longest_seconds: float = 12.0
    lag_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse times that cannot be met."""
        for name, lowest, highest in (
            ("interval_seconds", 0.1, 10.0),
            ("pause_seconds", 0.1, 10.0),
            ("longest_seconds", 2.0, 28.0),
            ("lag_seconds", 0.0, 60.0),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise UserError(f"{name} is {value}; expected {lowest} to {highest} seconds.")


class StreamingRecogniser:
    """A stream of sound in, committed words out; the same words whatever the sizes of the blocks.

    Args:
        transcriber: Recognises one piece of sound.
        voice: Voice activity of this stream.
        settings: Times.
        prompt: Text with words that may be said, such as the question.

    Attributes:
        hypothesis: Words of the last hypothesis that are not committed and may change.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        voice: VoiceDetector,
        settings: RecogniserSettings | None = None,
        *,
        prompt: str = "",
    ) -> None:
        self.hypothesis: tuple[Word, ...] = ()
        self._transcriber = transcriber
        self._voice = voice
        self._prompt = f"{prompt} {_OPENING}".strip()
        self._said = ""  # the end of the text whose sound is forgotten
        self._settings = settings or RecogniserSettings()
        self._interval = _frames(self._settings.interval_seconds)
        self._pause = _frames(self._settings.pause_seconds)
        self._longest = _frames(self._settings.longest_seconds)
        self._rest = np.zeros(0, np.float32)  # less than a frame
        self._frames: list[Samples] = []  # since the cut
        self._cut = 0  # frame of the stream at which they begin
        self._committed: list[Word] = []  # those since the cut
        self._silent = 0  # frames since the last voice
        self._is_speaking = False  # since the pause
        self._is_open = False  # whether a voice was heard since the last hypothesis
        self._ends_sentence = False  # whether the last committed word does
        self._last_run = 0  # frame of it

    @property
    def _now(self) -> int:
        return self._cut + len(self._frames)

    @property
    def heard_seconds(self) -> float:
        """When a word that is committed now is heard: the sound that was judged, and the lag."""
        return self._now * FRAME / SAMPLE_RATE + self._settings.lag_seconds

    @property
    def silent_seconds(self) -> float:
        """Silence since the last voice."""
        return self._silent * FRAME / SAMPLE_RATE

    @property
    def is_paused(self) -> bool:
        """Whether nobody speaks: all that was said is committed."""
        return not self._is_speaking

    def feed(self, samples: Samples, *, catch_up: bool = False) -> tuple[HeardWord, ...]:
        """Read more sound; return what was committed by it.

        Args:
            samples: Mono, 16 kHz, float32. (N)
            catch_up: Skip hypotheses that a later one of this block replaces. A recogniser that fell behind the sound
                catches up so; words may then depend on the blocks.
        """
        sound = np.concatenate((self._rest, np.asarray(samples, np.float32)))
        whole = len(sound) // FRAME * FRAME
        self._rest = sound[whole:]
        frames = sound[:whole].reshape(-1, FRAME)
        heard: list[HeardWord] = []
        for number, frame in enumerate(frames):
            self._add(frame)
            is_skipped = catch_up and len(frames) - number > self._interval
            heard += self._step(is_skipped=is_skipped)
        return tuple(heard)

    def finish(self) -> tuple[HeardWord, ...]:
        """The end of what is said: commit what is left. More sound may follow, and time goes on."""
        if len(self._rest):
            self._add(np.pad(self._rest, (0, FRAME - len(self._rest))))
            self._rest = self._rest[:0]
        return tuple(self._close() if self._is_speaking else ())

    def _add(self, frame: Samples) -> None:
        self._frames.append(frame)
        if self._voice.is_voice(frame):
            self._silent, self._is_speaking, self._is_open = 0, True, True
        else:
            self._silent += 1
        if not self._is_speaking:
            self._cut_at(max(self._now - _LEAD_FRAMES, self._cut))

    def _step(self, *, is_skipped: bool) -> list[HeardWord]:
        if self._is_speaking and self._silent >= self._pause:
            return self._close()
        if len(self._frames) >= self._longest:
            return self._shorten()
        is_due = self._is_open and self._now - self._last_run >= self._interval
        return self._agree() if is_due and not is_skipped else []

    def _agree(self) -> list[HeardWord]:
        """Commit the words at the front on which this hypothesis and the one before agree."""
        before = self.hypothesis
        self._transcribe()
        now = self._now * FRAME / SAMPLE_RATE
        shared = 0
        for one, other in zip(before, self.hypothesis, strict=False):
            # A word that touches the end of the sound may go on.
            is_cut_off = other is self.hypothesis[-1] and now - other.end_seconds < _TOUCHES_SECONDS
            if one.text.strip().casefold() != other.text.strip().casefold() or is_cut_off:
                break
            shared += 1
        return self._commit(shared)

    def _close(self) -> list[HeardWord]:
        """A pause or the end: commit the whole hypothesis, and forget its sound."""
        if self._is_open:
            self._transcribe()
        heard = self._commit(len(self.hypothesis))
        self._said = _with_stop(self._said + text_of(self._committed))
        self._committed = []
        self._cut_at(self._now - self._silent // 2)
        self._is_speaking = False
        return heard

    def _shorten(self) -> list[HeardWord]:
        """Too much sound without a pause: cut behind the last committed sentence or word, else commit all."""
        heard = self._agree()
        ends = [
            index
            for index, word in enumerate(self._committed, start=1)
            if word.text.rstrip(_CLOSING).endswith(_STOPS)
        ]
        for count in (*ends[-1:], len(self._committed)):
            frame = self._gap_behind(count)
            if self._now - frame <= self._longest // 2:
                break
        else:
            heard += self._commit(len(self.hypothesis))
            frame = self._now
        self._cut_at(frame)
        return heard

    def _gap_behind(self, count: int) -> int:
        """The frame in the middle between a committed word and the next one; that of the cut for none."""
        if not count:
            return self._cut
        following = (*self._committed[count:], *self.hypothesis, self._committed[-1])[0]
        end = self._committed[count - 1].end_seconds
        middle = (end + max(end, following.start_seconds)) / 2
        return min(max(_frames(middle), self._cut), self._now)

    def _transcribe(self) -> None:
        """Set the hypothesis: the words behind those that are committed, with times of the stream."""
        self._last_run, self._is_open = self._now, False
        sound = np.concatenate(self._frames)
        start = self._cut * FRAME / SAMPLE_RATE
        prompt = f"{self._prompt}{self._said}"
        words = usable(self._transcriber.transcribe(sound, prompt), len(sound) / SAMPLE_RATE)
        moved = [
            replace(
                word,
                start_seconds=start + word.start_seconds,
                end_seconds=start + word.end_seconds,
            )
            for word in words
        ]
        self.hypothesis = tuple(moved[_continuation(self._committed, moved) :])

    def _commit(self, count: int) -> list[HeardWord]:
        taken, self.hypothesis = self.hypothesis[:count], self.hypothesis[count:]
        self._committed += taken
        known = self._now * FRAME / SAMPLE_RATE + self._settings.lag_seconds
        heard = []
        for word in taken:
            text = _capitalised(word.text) if self._ends_sentence else word.text
            heard.append(HeardWord(text, word.start_seconds, word.end_seconds, known))
            self._ends_sentence = _ENDS_SENTENCE.search(text) is not None
        return heard

    def _cut_at(self, frame: int) -> None:
        """Forget the sound before a frame of the stream; the committed words in it are the prompt's."""
        self._frames = self._frames[frame - self._cut :]
        self._cut = frame
        seconds = frame * FRAME / SAMPLE_RATE
        gone = [word for word in self._committed if word.end_seconds <= seconds]
        self._said = f"{self._said}{text_of(gone)}"[-_CONTEXT:]
        self._committed = [word for word in self._committed if word.end_seconds > seconds]


def _capitalised(text: str) -> str:
    """A word behind a committed stop, which a later hypothesis may have gone on from without it."""
    bare = text.lstrip()
    return text[: len(text) - len(bare)] + bare[:1].upper() + bare[1:]


def _frames(seconds: float) -> int:
    return max(1, round(seconds * SAMPLE_RATE / FRAME))


def _with_stop(text: str) -> str:
    """The end of a text as a prompt; behind one that lacks a full stop, Whisper would leave them all out."""
    text = text[-_CONTEXT:].rstrip()
    return text if not text or text.rstrip(_CLOSING).endswith(_STOPS) else f"{text}."


def _continuation(committed: Sequence[Word], words: Sequence[Word]) -> int:
    """How many words of a new hypothesis say again what is committed.

    The count with the smallest edit distance between both; of equal ones, the one that ends nearest in time.
    """
    if not committed:
        return 0
    said = [plain(word) for word in committed]
    distances = list(range(len(said) + 1))  # from the first n committed words to the words so far
    until = committed[-1].end_seconds
    best = (distances[-1], until - committed[0].start_seconds, 0)
    for count, word in enumerate(words, start=1):
        key = plain(word)
        before, distances = distances, [count]
        for n, one in enumerate(said):
            change = before[n] + (one != key)
            distances.append(min(change, before[n + 1] + 1, distances[n] + 1))
        best = min(best, (distances[-1], abs(word.end_seconds - until), count))
    return best[2]
