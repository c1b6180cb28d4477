"""Text to sound: Piper where a voice is given, else espeak-ng.

    voice = EspeakVoice("en-us", words_per_minute=170)
    samples = voice.speak("Tom has 5 apples.")        # mono, 16 kHz

A text is data: marks that a synthesiser takes for commands are spelled or left out, and no text becomes an option. The
same text and voice give the same sound: Piper speaks without its noise.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import shutil
import subprocess
import wave
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.spoken_form import pieces_of
from adasr_trl.speech.words import SAMPLE_RATE, Samples

ESPEAK = "espeak-ng"
ESPEAK_LICENCE = "GPL-3.0-or-later (the program)"
# Of all, those that are understood best.
ESPEAK_VOICES = ("en-us", "en-gb", "en-gb-x-rp", "en-us+f5")
WORDS_PER_MINUTE = 165  # of speed 1: espeak-ng 175, Piper's usual voices 150 to 180
_SECONDS = 60.0  # longest time for one piece


class VoiceError(UserError):
    """A voice that cannot speak."""


class Voice(Protocol):
    """A synthesiser with a voice and a speed."""

    @property
    def name(self) -> str:
        """For a manifest and as a key of a cache: all that decides the sound, the program's version with it."""

    @property
    def licence(self) -> str:
        """Of the voice, as far as it is known."""

    def speak(self, text: str) -> Samples:
        """A sentence as sound; empty where there is nothing to say.

        Raises:
            VoiceError: The synthesiser failed.
        """


@dataclass(frozen=True)
class EspeakVoice:
    """A voice of espeak-ng, by a process for each sentence."""

    voice: str = "en-us"
    speed: float = 1.0
    licence: str = ESPEAK_LICENCE

    def __post_init__(self) -> None:
        """Refuse a missing program and an unknown voice."""
        if shutil.which(ESPEAK) is None:
            raise VoiceError(
                f"{ESPEAK} is not installed; install it (apt-get install {ESPEAK}), or give a Piper "
                f"voice by --voice FILE.onnx."
            )
        if not re.fullmatch(r"[A-Za-z][\w+-]*", self.voice):
            raise VoiceError(
                f"voice {self.voice!r}: expected a voice of {ESPEAK} such as en-us+f3."
            )
        known = subprocess.run(
            [ESPEAK, "-v", self.voice, "-q", ""], capture_output=True, check=False
        )
        if known.returncode:
            reason = " ".join(known.stderr.decode(errors="replace").split())[:200]
            raise VoiceError(
                f"voice {self.voice!r}: {ESPEAK} refuses it ({reason or known.returncode}); expected one of "
                f"`{ESPEAK} --voices=en`, or a Piper voice, FILE.onnx."
            )

    @property
    def name(self) -> str:
        """Version, voice and speed."""
        return f"{ESPEAK} {_espeak_version()} {self.voice} x{self.speed:g}"

    def speak(self, text: str) -> Samples:
        """A sentence as sound."""
        return _joined([self._speak(piece) for piece in pieces_of(text)])

    def _speak(self, text: str) -> Samples:
        words = str(round(WORDS_PER_MINUTE * self.speed))
        command = [ESPEAK, "-v", self.voice, "-s", words, "-b", "1", "--stdin", "--stdout"]
        try:
            done = subprocess.run(
                command, input=text.encode(), capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise VoiceError(f"{ESPEAK} failed on {text[:40]!r}: {error}.") from error
        if done.returncode or not done.stdout:
            reason = " ".join(done.stderr.decode(errors="replace").split())
            raise VoiceError(f"{ESPEAK} -v {self.voice} failed on {text[:40]!r}: {reason[:200]}.")
        return _wave_samples(done.stdout)


class PiperVoice:
    """A voice of Piper: an ONNX file with its settings in FILE.onnx.json beside it."""

    def __init__(self, path: Path, *, speed: float = 1.0) -> None:
        settings = Path(f"{path}.json")
        for file in (path, settings):
            if not file.is_file():
                raise VoiceError(
                    f"{file}: no such file; expected a Piper voice, which is FILE.onnx and FILE.onnx.json."
                )
        package, config = load_package("piper"), load_package("piper.config")
        onnx = load_package("onnxruntime")
        options = onnx.SessionOptions()
        # A process for each core speaks. Threads of several sessions wait for each other, and other counts of threads
        # give other last bits of sound.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._voice: Any = package.PiperVoice.load(path)
            self._voice.session = onnx.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # of onnxruntime and json: no common base
            reason = " ".join(str(error).split())[:200]
            raise VoiceError(f"{path}: cannot be loaded as a Piper voice ({reason}).") from error
        self._settings = config.SynthesisConfig(
            length_scale=self._voice.config.length_scale / speed,
            noise_scale=0.0,
            noise_w_scale=0.0,
        )
        digest = _digest((path, settings))
        self.name = f"piper {version('piper-tts')} {path.stem} ({digest}) x{speed:g}"
        self.licence = _licence_beside(path)

    def speak(self, text: str) -> Samples:
        """A sentence as sound."""
        return _joined([self._speak(piece) for piece in pieces_of(text)])

    def _speak(self, text: str) -> Samples:
        try:
            pieces = list(self._voice.synthesize(text, self._settings))
        except Exception as error:  # of onnxruntime and the phonemiser
            raise VoiceError(f"{self.name} failed on {text[:40]!r}: {error}.") from error
        if not pieces:
            return np.zeros(0, np.float32)
        sound = np.concatenate([piece.audio_float_array for piece in pieces])
        return resampled(sound, pieces[0].sample_rate)


def _joined(sounds: list[Samples]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *sounds])


@functools.cache
def _espeak_version() -> str:
    """Such as 1.51."""
    told = subprocess.run([ESPEAK, "--version"], capture_output=True, check=False).stdout
    found = re.search(r"\d[\w.-]*", told.decode(errors="replace"))
    return found[0] if found else "of unknown version"


@functools.cache
def _digest(files: tuple[Path, ...]) -> str:
    """8 hexadecimal digits of the files' content; two voices may share a name."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]


def _licence_beside(path: Path) -> str:
    """The licence that the voice's MODEL_CARD states; voices of Piper have many."""
    card = path.with_name("MODEL_CARD")
    if card.is_file():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := re.match(r"[*\s]*licen[cs]e\W*(.+)", line, re.IGNORECASE):
                return found[1].strip()
    return "unknown; see the MODEL_CARD of the voice"


def _wave_samples(data: bytes) -> Samples:
    """16-bit mono; espeak-ng writes a length into a pipe's header that it does not know yet."""
    with wave.open(io.BytesIO(data)) as file:
        raw = file.readframes(len(data))
        rate = file.getframerate()
    sound = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    return resampled(sound, rate)


def resampled(sound: Samples, rate: int) -> Samples:
    """Mono sound at 16 kHz. (N) -> (M)."""
    if rate == SAMPLE_RATE or not len(sound):
        return np.asarray(sound, np.float32)
    av = load_package("av")
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound, np.float32)[None], format="flt", layout="mono"
    )
    frame.sample_rate = rate
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray()[0] for piece in frames]).astype(np.float32)
