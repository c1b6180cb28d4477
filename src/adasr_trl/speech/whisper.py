"""Whisper by faster-whisper (CTranslate2), with times of words.

    FasterWhisper("tiny.en")              # downloaded once by huggingface_hub
    FasterWhisper("models/tiny.en")       # a folder with model.bin: no network

What was heard is never a prompt, as a phrase that is once repeated would be so for good; the question may be one. The encoder reads a window a little
longer than the sound, not Whisper's 30 seconds: tiny.en costs a fourth of the time so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from adasr_trl.core.errors import UserError
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.words import Samples, Word

_FRAMES_A_SECOND = 100
_SHORTEST, _LONGEST = 1500, 3000  # frames of a window: in shorter ones words get lost
_PADDING, _STEP = 200, 100  # frames of silence behind the sound, and of rounding
_MOST_TOKENS, _TOKENS_A_SECOND = 12, 12.0  # speech has 4 a second; loops have more
_NO_SPEECH, _LOW_SCORE = 0.6, -1.0  # Whisper's own thresholds
_BEAMS = 5  # Whisper's own number
_PROMPT_TOKENS = 96  # the last ones of a prompt: they are read anew for every hypothesis
_OPENING = "\"'\u201c\u00bf([{-"
_CLOSING = "\"'.\u3002,\uff0c!\uff01?\uff1f:\uff1a\u201d)]}\u3001"


class FasterWhisper:
    """A Whisper model as a ``Transcriber``.

    Attributes:
        name: The model as given.
        language: Code of the spoken language.

    Raises:
        UserError: The package or the model is missing, or the language is unknown to it.
    """

    def __init__(
        self, model: str | Path, *, language: str = "en", threads: int = 1, device: str = "cpu"
    ) -> None:
        self.name, self.language = str(model), language
        package = load_package("faster_whisper")
        path = Path(model).expanduser()
        is_path = path.exists() or len(path.parts) > 2 or path.is_absolute()
        if is_path and not (path / "model.bin").is_file():
            raise UserError(
                f"{model}: is no folder with a model.bin; expected a faster-whisper model "
                f"(CTranslate2), or a name such as tiny.en or base."
            )
        try:
            self._model: Any = package.WhisperModel(
                str(path) if is_path else str(model),
                device=device,
                compute_type="int8" if device == "cpu" else "default",
                cpu_threads=threads,
            )
        except Exception as error:  # of CTranslate2, huggingface_hub, tokenizers: no common base
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{model}: cannot be loaded as a Whisper model ({reason}); expected a folder with "
                f"model.bin, config.json and tokenizer.json, or a name such as tiny.en."
            ) from error
        self._transcribe = load_package("faster_whisper.transcribe")
        known = self._model.supported_languages
        if language not in known:
            raise UserError(
                f"{model}: does not know the language {language!r}; it knows {', '.join(known[:8])}."
            )
        self._tokenizer = load_package("faster_whisper.tokenizer").Tokenizer(
            self._model.hf_tokenizer,
            self._model.model.is_multilingual,
            task="transcribe",
            language=language,
        )
        self._suppressed = list(self._transcribe.get_suppressed_tokens(self._tokenizer, [-1]))

    def transcribe(self, samples: Samples, prompt: str = "") -> Sequence[Word]:
        """The words of at most 28 seconds, in order, with times from the start.

        Args:
            samples: Mono, 16 kHz, float32. (N)
            prompt: Text with words that may be said, such as names; Whisper takes it for what was said before.
        """
        if not len(samples):
            return ()
        features = self._model.feature_extractor(np.ascontiguousarray(samples, np.float32))
        frames = features.shape[-1] - 1
        window = min(max(frames + _PADDING, _SHORTEST), _LONGEST) // _STEP * _STEP
        encoded = self._model.encode(_fitted(features[:, :frames], window))
        tokens = self._decode(encoded, frames / _FRAMES_A_SECOND, self._prompt(prompt))
        if not tokens:
            return ()
        aligned = self._model.find_alignment(
            self._tokenizer, [tokens], encoded, min(frames, window)
        )
        self._transcribe.merge_punctuations(aligned[0], _OPENING, _CLOSING)
        words = [
            Word(each["word"], float(each["start"]), float(each["end"]))
            for each in aligned[0]
            if each["word"].strip()
        ]
        if words and not words[0].text[:1].isspace():  # what was said before ended with a word
            words[0] = replace(words[0], text=f" {words[0].text}")
        return words

    def _prompt(self, text: str) -> list[int]:
        """The tokens before what is said; text is never a control token."""
        given = self._tokenizer.encode(f" {text.strip()}") if text.strip() else []
        given = [token for token in given if token < self._tokenizer.eot][-_PROMPT_TOKENS:]
        prompt: list[int] = self._model.get_prompt(self._tokenizer, given, without_timestamps=True)
        return prompt

    def _decode(self, encoded: Any, seconds: float, prompt: list[int]) -> list[int]:
        """Text tokens; none where the model itself takes the sound for no speech."""
        most = _MOST_TOKENS + round(_TOKENS_A_SECOND * seconds)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=_BEAMS,
            max_length=min(len(prompt) + most, self._model.max_length),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < self._tokenizer.eot]
        is_silence = result.no_speech_prob > _NO_SPEECH and result.scores[0] < _LOW_SCORE
        return [] if is_silence else tokens


def _fitted(features: npt.NDArray[np.float32], frames: int) -> npt.NDArray[np.float32]:
    """Features cut or padded with silence to a number of frames. (M, F) -> (M, frames)."""
    features = features[:, :frames]
    return np.pad(features, ((0, 0), (0, frames - features.shape[1])))
