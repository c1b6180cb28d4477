"""The recogniser of a server: one process, which all sessions share by turns.

    >>> desk = RecogniserDesk(partial(load_recogniser, "tiny.en"), "tiny.en", Limits())
    >>> stream = desk.open(on_hearing, SoundForm())

It is started again where it ended by itself; until then sound is refused.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from adasr_trl.core.errors import UserError
from adasr_trl.serving.limits import Limits, RefusalError
from adasr_trl.speech.process import (
    OnHearing,
    Recogniser,
    RecogniserProcess,
    SoundForm,
    SoundStream,
)

logger = logging.getLogger(__name__)


class RecogniserDesk:
    """See the module; called from any thread.

    Attributes:
        model: Its name for clients.
    """

    def __init__(self, load: Callable[[], Recogniser], model: str, limits: Limits) -> None:
        self._load, self._limits, self.model = load, limits, model
        self._process: RecogniserProcess | None = RecogniserProcess(load)
        self._lock = threading.Lock()
        self._listeners = 0
        self._is_starting = self._is_closed = False

    def open(self, on_hearing: OnHearing, form: SoundForm, prompt: str = "") -> SoundStream:
        """A stream; RefusalError where there is no room, or no recogniser for now."""
        with self._lock:
            if self._process is None or not self._process.is_alive:
                self._restart()
                reason = "the recogniser has failed and is started again; send the sound later."
                raise RefusalError("recogniser_failed", reason, status=500)
            if self._listeners >= self._limits.max_listeners:
                reason = f"{self._listeners} sessions send sound already."
                raise RefusalError("too_many_listeners", reason, status=429)
            self._listeners += 1
            return self._process.open(on_hearing, form, prompt=prompt)

    def release(self, stream: SoundStream) -> None:
        """A stream that is not used any more."""
        stream.close()
        with self._lock:
            self._listeners -= 1

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._is_closed = True
            if self._process:
                self._process.close()

    def _restart(self) -> None:
        if self._is_starting:
            return
        if self._process:
            self._process.close()
        self._process, self._is_starting = None, True
        threading.Thread(target=self._start, name="adasr-recogniser", daemon=True).start()

    def _start(self) -> None:
        process = None
        try:
            process = RecogniserProcess(self._load)
        except UserError as error:
            logger.error("%s", error)
        with self._lock:
            self._process, self._is_starting = process, False
            if process and self._is_closed:
                process.close()
