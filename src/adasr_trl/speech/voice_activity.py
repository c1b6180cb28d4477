"""Voice activity by the silero-vad model that faster-whisper ships, one frame at a time.

    voice = SileroVoice()
    voice.is_voice(samples[:FRAME])

One detector serves one stream: its state goes from frame to frame. Neither torch nor a download is needed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from adasr_trl.core.errors import UserError
from adasr_trl.speech.packages import load_package
from adasr_trl.speech.words import FRAME, Samples

_CONTEXT = 64  # samples before a frame that the model reads again
_STATE = (1, 1, 128)
_BEGINS, _ENDS = 0.5, 0.35  # probabilities of voice: silero-vad's own thresholds


class SileroVoice:
    """Voice activity of one stream, with hysteresis.

    Raises:
        UserError: faster-whisper is missing or ships no such model.
    """

    def __init__(self) -> None:
        folder = Path(load_package("faster_whisper").__file__ or "").parent / "assets"
        models = sorted(folder.glob("silero_vad*.onnx"))
        if not models:
            raise UserError(f"{folder}: holds no silero_vad*.onnx; expected faster-whisper 1.2.")
        runtime = load_package("onnxruntime")
        options = runtime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(
            str(models[-1]), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._h = self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._is_voice = False

    def is_voice(self, frame: Samples) -> bool:
        """Whether somebody speaks in this frame of shape (FRAME)."""
        if frame.shape != (FRAME,):
            raise ValueError(f"got a frame of shape {frame.shape}; expected ({FRAME},).")
        inputs = np.concatenate((self._context, frame))[None].astype(np.float32)
        probability, self._h, self._c = self._session.run(
            None, {"input": inputs, "h": self._h, "c": self._c}
        )
        self._context = frame[-_CONTEXT:]
        self._is_voice = float(probability.squeeze()) >= (_ENDS if self._is_voice else _BEGINS)
        return self._is_voice
