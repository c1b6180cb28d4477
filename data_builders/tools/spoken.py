"""Episodes as sound, and what a streaming recogniser hears of them; kept in a cache by content.

    studio = Studio(Speaking(recogniser="tiny.en", cache=Path("heard")))
    studio.listen(Utterance("ledger-7", ("Tom has 5 hens.", "He buys 3."), seed=0))

Voice, speed and the pauses between sentences are drawn by seed and id. The sound ends with a silence in which the
recogniser finds the end. The cached text depends on nothing but the sentences, the draw, and the recogniser.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from adasr_trl.core.errors import UserError
from adasr_trl.core.files import make_folder, write_text
from adasr_trl.speech.spoken_form import foreign_letter, pieces_of

if TYPE_CHECKING:
    from adasr_trl.speech.recognition import RecogniserSettings
    from adasr_trl.speech.voices import Voice
    from adasr_trl.speech.words import Samples, Transcriber, VoiceDetector

T = TypeVar("T")
VERSION = 3  # of what the cache holds
_QUIET = 0.003  # amplitude below which the ends of a sentence's sound are cut off
_LEAD_SECONDS = 0.3  # of silence before the first word
_SPREAD = 0.3  # of a pause, to both sides


class UnspokenError(UserError):
    """A text that could not be spoken or heard; the message begins with a code."""


@dataclass(frozen=True)
class Speaking:
    """What decides how texts sound and are heard.

    Attributes:
        recogniser: Whisper model, a path or a name.
        voices: Files of Piper voices, or names of espeak-ng's; () for a choice of ours of espeak-ng's.
        seed: Of voices, speeds and pauses.
        slowest: Lowest speed, as a multiple of a voice's usual one.
        fastest: Highest speed.
        sentence_pause: Mean silence between two sentences, in seconds.
        interval: Seconds between two hypotheses.
        pause: Seconds of silence after which all is committed.
        knows_question: Whether the recogniser has the question as its prompt, as in live use.
        cache: Folder of what was heard.
        sounds: Folder of WAV files, or None for none.
    """

    recogniser: str
    cache: Path
    voices: tuple[str, ...] = ()
    seed: int = 0
    slowest: float = 0.85
    fastest: float = 1.05
    sentence_pause: float = 0.7
    interval: float = 3.0
    pause: float = 0.5
    knows_question: bool = True
    sounds: Path | None = None


@dataclass(frozen=True)
class Utterance:
    """A text to be spoken, by the id of its episode, and the question that is known before it."""

    id: str
    sentences: tuple[str, ...]
    question: str = ""


@dataclass(frozen=True)
class Heard:
    """What was heard of a text.

    Attributes:
        voice: Name of the voice.
        licence: Of the voice.
        chunks: The recognised text; () for nothing. (C)
        arrival_seconds: When each chunk was known. (C)
        ends: When the sound of each typed sentence ended. (S)
        seconds: Length of the sound.
        is_cached: Whether it was there before.
    """

    voice: str
    licence: str
    chunks: tuple[str, ...]
    arrival_seconds: tuple[float, ...]
    ends: tuple[float, ...]
    seconds: float
    is_cached: bool = field(default=False, compare=False)


class Studio:
    """Speaks and listens in one process; models are loaded when the first text needs them."""

    def __init__(self, speaking: Speaking) -> None:
        self._speaking = speaking
        self._voices: dict[tuple[str, float], Voice] = {}
        self._transcriber: Transcriber | None = None

    def listen(self, utterance: Utterance) -> Heard:
        """Speak a text and recognise it.

        Raises:
            UnspokenError: The text has no words, or its voice failed.
        """
        if letter := foreign_letter("".join(utterance.sentences)):
            raise UnspokenError(f"not_english: the text holds {letter!r}, which no voice reads")
        drawn = draw(self._speaking, utterance)
        voice = self.voice(drawn)
        key = _key(self._speaking, utterance, drawn, voice.name)
        cached = self._read(key)
        if cached and self._speaking.sounds is None:
            return cached
        if not cached:
            self._model()  # a missing one is known before a voice speaks
        sound, ends = _say(voice, utterance, drawn, tail_seconds=self._speaking.pause + 0.3)
        if self._speaking.sounds:
            _write_wave(self._speaking.sounds / f"{_file_name(utterance.id)}-{key[:8]}.wav", sound)
        if cached:
            return cached
        chunks = self._recognise(sound, _prompt(self._speaking, utterance))
        heard = Heard(
            voice=voice.name,
            licence=voice.licence,
            chunks=tuple(text for text, _ in chunks),
            arrival_seconds=tuple(round(seconds, 3) for _, seconds in chunks),
            ends=tuple(round(end, 3) for end in ends),
            seconds=round(len(sound) / 16_000, 3),
        )
        content = asdict(heard)
        del content["is_cached"]
        write_text(self._path(key), json.dumps(content, ensure_ascii=False))
        return heard

    def voice(self, drawn: Drawn) -> Voice:
        """The voice that was drawn, loaded once."""
        from adasr_trl.speech.voices import EspeakVoice, PiperVoice

        place = (drawn.voice, drawn.speed)
        if place not in self._voices:
            is_file = drawn.voice.endswith(".onnx")
            self._voices[place] = (
                PiperVoice(Path(drawn.voice), speed=drawn.speed)
                if is_file
                else EspeakVoice(drawn.voice, drawn.speed)
            )
        return self._voices[place]

    def check(self) -> None:
        """Refuse a voice that was asked for and is not there, before any text is spoken.

        Raises:
            VoiceError: There is none of this name.
        """
        for name in self._speaking.voices:
            self.voice(Drawn(name, self._speaking.slowest, ()))

    def _recognise(self, sound: Samples, prompt: str) -> list[tuple[str, float]]:
        from adasr_trl.speech.listening import chunks_of
        from adasr_trl.speech.recognition import StreamingRecogniser

        recogniser = StreamingRecogniser(
            self._model(), self.detector(), settings_of(self._speaking), prompt=prompt
        )
        return [(chunk.text, chunk.heard_seconds) for chunk in chunks_of(sound, recogniser)]

    def _model(self) -> Transcriber:
        """The recogniser's model, loaded once."""
        if self._transcriber is None:
            self._transcriber = self.transcriber()
        return self._transcriber

    def transcriber(self) -> Transcriber:
        """The recogniser's model."""
        from adasr_trl.speech.whisper import FasterWhisper

        return FasterWhisper(self._speaking.recogniser)

    def detector(self) -> VoiceDetector:
        """Voice activity of one sound."""
        from adasr_trl.speech.voice_activity import SileroVoice

        return SileroVoice()

    def _read(self, key: str) -> Heard | None:
        """What the cache holds; a damaged file counts as nothing."""
        try:
            content = json.loads(self._path(key).read_text(encoding="utf-8"))
            heard = Heard(
                voice=_as(str, content["voice"]),
                licence=_as(str, content["licence"]),
                chunks=tuple(_as(str, text) for text in _as(list, content["chunks"])),
                arrival_seconds=tuple(map(float, _as(list, content["arrival_seconds"]))),
                ends=tuple(map(float, _as(list, content["ends"]))),
                seconds=float(content["seconds"]),
                is_cached=True,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return heard if len(heard.chunks) == len(heard.arrival_seconds) else None

    def _path(self, key: str) -> Path:
        return self._speaking.cache / key[:2] / f"{key}.json"


def _as(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"got {value!r}; expected a {kind.__name__}")
    return value


@dataclass(frozen=True)
class Drawn:
    """Voice, speed and pauses of one text."""

    voice: str
    speed: float
    pauses: tuple[float, ...]  # behind each sentence


def draw(speaking: Speaking, utterance: Utterance) -> Drawn:
    """Voice, speed and pauses by seed and id; the same whatever else is spoken."""
    from adasr_trl.speech.voices import ESPEAK_VOICES

    source = random.Random(f"{speaking.seed} {utterance.id}")
    voice = source.choice(speaking.voices or ESPEAK_VOICES)
    # A few speeds only: each is a voice of its own in the manifest.
    steps = round((speaking.fastest - speaking.slowest) / 0.05)
    speed = speaking.slowest + 0.05 * source.randint(0, max(steps, 0))
    mean = speaking.sentence_pause
    pauses = [source.uniform(1 - _SPREAD, 1 + _SPREAD) * mean for _ in utterance.sentences]
    return Drawn(voice, round(min(speed, speaking.fastest), 2), tuple(round(p, 3) for p in pauses))


def settings_of(speaking: Speaking) -> RecogniserSettings:
    """The recogniser's times; an error names the one that cannot be met."""
    from adasr_trl.speech.recognition import RecogniserSettings

    return RecogniserSettings(speaking.interval, speaking.pause)


@functools.cache
def recogniser_of(model: str) -> dict[str, str]:
    """The recogniser, for a manifest and as part of a cache's key."""
    path = Path(model).expanduser() / "model.bin"
    known = {"model": model.rstrip("/").rpartition("/")[2] if path.is_file() else model}
    if path.is_file():
        with path.open("rb") as file:
            known["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return known


def _key(speaking: Speaking, utterance: Utterance, drawn: Drawn, voice: str) -> str:
    texts = [pieces_of(sentence) for sentence in utterance.sentences]
    decisive: Any = [VERSION, texts, voice, drawn.pauses]
    recogniser = recogniser_of(speaking.recogniser)
    decisive += [recogniser.get("sha256", recogniser["model"]), asdict(settings_of(speaking))]
    decisive.append(_prompt(speaking, utterance))
    content = json.dumps(decisive, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _prompt(speaking: Speaking, utterance: Utterance) -> str:
    return utterance.question if speaking.knows_question else ""


def _say(
    voice: Voice, utterance: Utterance, drawn: Drawn, *, tail_seconds: float
) -> tuple[Samples, list[float]]:
    """The sound of all sentences, and where each one's ends in seconds."""
    import numpy as np

    from adasr_trl.speech.voices import VoiceError
    from adasr_trl.speech.words import SAMPLE_RATE

    def quiet(seconds: float) -> Samples:
        return np.zeros(round(seconds * SAMPLE_RATE), np.float32)

    pieces, ends = [quiet(_LEAD_SECONDS)], []
    for sentence, pause in zip(utterance.sentences, drawn.pauses, strict=True):
        try:
            sound = voice.speak(sentence)
        except VoiceError as error:
            raise UnspokenError(f"voice_failed: {error}") from error
        loud = np.flatnonzero(np.abs(sound) > _QUIET)
        if len(loud):
            pieces.append(sound[loud[0] : loud[-1] + 1])
        ends.append(sum(map(len, pieces)) / SAMPLE_RATE)
        if len(loud):
            pieces.append(quiet(pause))
    if len(pieces) == 1:
        raise UnspokenError("nothing_to_say: the text has no words")
    pieces[-1] = quiet(tail_seconds)
    return np.concatenate(pieces), ends


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:80].lstrip(".") or "episode"


def _write_wave(path: Path, sound: Samples) -> None:
    """16-bit mono at 16 kHz."""
    import wave

    import numpy as np

    make_folder(path.parent)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
