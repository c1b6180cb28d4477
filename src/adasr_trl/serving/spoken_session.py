"""A client's session that also hears: the text session, and the words of its sound.

    >>> session = SpokenSession(pool, send, later, "demo", Limits(), desk)
    >>> session.receive({"type": "input_audio_buffer.append", "audio": "AAAA..."})

Recognised words are text of the conversation like any other: read and thought about as they come.
"""

from __future__ import annotations

from collections.abc import Callable

from adasr_trl.live.pool import StreamPool
from adasr_trl.serving.audio import AudioInput
from adasr_trl.serving.limits import Limits
from adasr_trl.serving.messages import Message
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from adasr_trl.serving.session import AUDIO_BUFFER, RealtimeSession, Send

_SOUND = {f"{AUDIO_BUFFER}.{name}" for name in ("append", "commit", "clear")}


class SpokenSession(RealtimeSession):
    """See the module; it is the ``Host`` of its sound."""

    def __init__(
        self,
        pool: StreamPool,
        send: Send,
        later: Callable[[Callable[[], None]], None],
        model: str,
        limits: Limits,
        desk: RecogniserDesk,
    ) -> None:
        self._audio = AudioInput(desk, self, later, limits)
        self._is_taking_held = False
        super().__init__(pool, send, later, model, limits)

    def close(self) -> None:
        """Forget the session, wherever it is."""
        super().close()
        self._audio.on_settled = lambda: None
        self._audio.close()

    # ---- for its sound

    @property
    def question(self) -> str:
        """The question, which comes before the sound."""
        return self._conversation.question

    def heard(self, text: str) -> None:
        """Read recognised text."""
        self._conversation.append(text)

    def close_item(self, item_id: str, family: str) -> bool:
        """End the text so far: it becomes an item; False without any."""
        if not self._conversation.buffer.strip():
            return False
        self._committed(family, item_id)
        return True

    def take_back(self) -> None:
        """Forget the text that is no item yet."""
        self._conversation.clear()

    def tell(self, kind: str, **fields: object) -> None:
        """Send an event."""
        self._emit(kind, **fields)

    def ask(self) -> None:
        """Create a response, unless one is in progress."""
        if not self.responding:
            self._create_response({})

    # ---- client events

    def _begin(self) -> None:
        audio = self._audio
        audio.on_settled = self._take_held
        self._handlers[f"{AUDIO_BUFFER}.append"] = self._append_audio
        self._handlers[f"{AUDIO_BUFFER}.commit"] = audio.commit
        self._handlers[f"{AUDIO_BUFFER}.clear"] = audio.clear
        self._session["audio"] = audio.shown()
        super()._begin()

    def _must_wait(self, kind: str) -> bool:
        """Whether an event is taken later; before an answer, the sound is heard out."""
        if kind in _SOUND:  # in their own order, and behind a change of their form
            return not self._is_taking_held and any(map(self._concerns_sound, self._held))
        if kind == "response.create" and not self.responding:
            return self._audio.hear_out()
        return super()._must_wait(kind)

    def _concerns_sound(self, message: Message) -> bool:
        kind = message["type"]
        return kind in _SOUND or (kind == "session.update" and self._audio.is_changed_by(message))

    def _update_sound(self, change: Message) -> None:
        self._audio.update(change)
        self._session["audio"] = self._audio.shown()

    def _append_audio(self, message: Message) -> None:
        self._conversation.check_question()
        self._audio.append(message)

    def _create_response(self, message: Message) -> None:
        super()._create_response(message)
        self._audio.hold()

    @property
    def _is_busy(self) -> bool:
        return self._audio.is_waiting or super()._is_busy

    def _take_held(self) -> None:
        if not self.responding:
            self._audio.release()
        before, self._is_taking_held = self._is_taking_held, True
        super()._take_held()
        self._is_taking_held = before
