"""Whisper by faster-whisper (CTranslate2): greedy, with times of words.

    FasterWhisper("tiny.en")              # downloaded once by huggingface_hub
    FasterWhisper("models/tiny.en")       # a folder with model.bin: no network

Earlier text is never a prompt, as a phrase that is once repeated would be so for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.words import Samples, Word


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
        known = self._model.supported_languages
        if language not in known:
            raise UserError(
                f"{model}: does not know the language {language!r}; it knows {', '.join(known[:8])}."
            )

    def transcribe(self, samples: Samples) -> Sequence[Word]:
        """The words of at most 30 seconds, in order, with times from the start."""
        if not len(samples):
            return ()
        segments, _ = self._model.transcribe(
            np.ascontiguousarray(samples, np.float32),
            language=self.language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=False,
        )
        return [
            Word(word.word, float(word.start), float(word.end))
            for segment in segments
            for word in segment.words or ()
        ]
