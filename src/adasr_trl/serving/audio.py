"""Sound of a client's session: OpenAI's ``input_audio_buffer`` events in, words of the conversation out.

    >>> audio.append({"audio": "AAAA..."})        # base64 of PCM16; its words are read as soon as they are certain
    >>> audio.commit({})                            # the rest is recognised, and all becomes an item

The recogniser is in ``recogniser_desk``. All of this runs in the pool's thread; hearings are posted into it. Sound goes to
the recogniser also while an answer is written; its words wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from adasr_trl.serving.audio_form import (
    TurnDetection,
    shown_form,
    sound_bytes,
    sound_form,
    transcription_prompt,
    turn_detection,
)
from adasr_trl.serving.limits import Limits, RefusalError
from adasr_trl.serving.messages import Message, new_id, object_field, text_field
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from adasr_trl.serving.session import AUDIO_BUFFER
from adasr_trl.speech.listener import Hearing, HearingKind
from adasr_trl.speech.process import SoundForm, SoundStream

TRANSCRIPTION = "conversation.item.input_audio_transcription"
LEAST_SECONDS = 0.1  # of sound in a commit, as in OpenAI's API


class Host(Protocol):
    """What a session gives: its conversation, and ways to tell."""

    @property
    def question(self) -> str:
        """The question; its words may be said."""
        ...

    def heard(self, text: str) -> None:
        """Read more text."""

    def close_item(self, item_id: str, family: str) -> bool:
        """End the text so far: it becomes an item; False without any."""
        ...

    def take_back(self) -> None:
        """Forget the text that is no item yet."""

    def tell(self, kind: str, **fields: object) -> None:
        """Send an event."""

    def refuse(self, error: RefusalError) -> None:
        """Send an error."""

    def guarded(self, call: Callable[[], None]) -> None:
        """Do something for the client, who hears why it was not done."""

    def ask(self) -> None:
        """Create a response."""


class AudioInput:
    """See the module.

    Attributes:
        on_settled: Called when no commit waits for its last words any more.
    """

    def __init__(
        self,
        desk: RecogniserDesk,
        host: Host,
        post: Callable[[Callable[[], None]], None],
        limits: Limits,
    ) -> None:
        self._desk, self._host, self._post, self._limits = desk, host, post, limits
        self._form = SoundForm()
        self._turns: TurnDetection | None = TurnDetection()
        self._prompt = ""  # of the client, beside the question
        self._stream: SoundStream | None = None
        self._committed_seconds = 0.0  # sound of the stream's earlier commits
        self._earlier_seconds = 0.0  # sound of the session's earlier streams
        self._item_id = new_id("item")
        self._transcript = ""
        self._held: deque[Hearing] = deque()  # while an answer is written
        self._is_held = self._is_heard_out = False
        self._flushes: deque[bool] = deque()  # to be taken: whether a client asked for an item
        self._ends: deque[bool] = deque()  # on their way: whether all before it was cleared
        self.on_settled: Callable[[], None] = lambda: None

    def shown(self) -> dict[str, Any]:
        """The session's ``audio`` as it is in effect."""
        fields = {
            "format": shown_form(self._form),
            "transcription": {"model": self._desk.model, "prompt": self._prompt},
            "turn_detection": self._turns.shown() if self._turns else None,
        }
        return {"input": fields}

    def update(self, session: Message) -> None:
        """The fields of ``session.update`` that concern sound."""
        wanted = self._wanted(session)
        if wanted == (self._form, self._turns, self._prompt):
            return
        if self.uncommitted_seconds:
            reason = "sound is in the buffer; commit or clear it before its form changes."
            raise RefusalError("invalid_value", reason, "session.audio.input")
        self.close()
        self._form, self._turns, self._prompt = wanted

    def is_changed_by(self, message: Message) -> bool:
        """Whether a ``session.update`` changes how sound is read."""
        try:
            wanted = self._wanted(object_field(message, "session"))
        except RefusalError:
            return False
        return wanted != (self._form, self._turns, self._prompt)

    def _wanted(self, session: Message) -> tuple[SoundForm, TurnDetection | None, str]:
        form, turns = sound_form(session, self._form), turn_detection(session, self._turns)
        return form, turns, transcription_prompt(session, self._prompt)

    @property
    def uncommitted_seconds(self) -> float:
        """Sound since the last commit."""
        return self._stream.sent_seconds - self._committed_seconds if self._stream else 0.0

    def append(self, message: Message) -> None:
        """More sound, in pieces that may end anywhere."""
        data = sound_bytes(text_field(message, "audio"))
        if self._stream is None:
            self._open()
        assert self._stream is not None
        waiting, seconds = self._stream.behind_seconds, self._stream.seconds_of(data)
        if waiting + seconds > self._limits.max_waiting_sound_seconds:
            most = f"of {self._limits.max_waiting_sound_seconds:g} s that may wait {waiting:.1f} do"
            reason = (
                f"{most}; this piece of {seconds:.1f} s was dropped. Send it at the pace of speech."
            )
            raise RefusalError("audio_too_fast", reason, status=429)
        self._stream.send(data)

    def commit(self, _message: Message) -> None:
        """End of what is said: an item, once its last words are recognised."""
        seconds = self.uncommitted_seconds
        if seconds < LEAST_SECONDS:
            reason = f"the buffer has {1000 * seconds:.0f} ms of sound; expected 100 or more."
            raise RefusalError("input_audio_buffer_commit_empty", reason)
        self._flush(asked=True)

    @property
    def is_waiting(self) -> bool:
        """Whether a commit waits for its last words."""
        return bool(self._flushes)

    def hear_out(self) -> bool:
        """Before an answer: let the last words come. Whether they are waited for; once for an answer."""
        if self._is_heard_out and not self._flushes:
            self._is_heard_out = False
            return False
        if self.uncommitted_seconds >= LEAST_SECONDS:
            self._flush(asked=False)
        self._is_heard_out = self.is_waiting
        return self.is_waiting

    def _flush(self, *, asked: bool) -> None:
        self._flushes.append(asked)
        self._end(is_cleared=False)

    def _end(self, *, is_cleared: bool) -> None:
        assert self._stream is not None
        self._ends.append(is_cleared)
        self._committed_seconds = self._stream.sent_seconds
        self._stream.flush()

    def clear(self, _message: Message) -> None:
        """Forget the sound and the words that are no item yet, and were not committed before."""
        if self._flushes or self._held or self._is_held:
            while self._held and not self._is_end(self._held[-1]):
                self._held.pop()
            if self._stream:
                self._end(is_cleared=True)
        else:
            self.close()
            self._host.take_back()
        self._host.tell(f"{AUDIO_BUFFER}.cleared")

    def _is_end(self, hearing: Hearing) -> bool:
        """Whether what was said before it is, or becomes, an item."""
        is_turn = hearing.kind is HearingKind.STOPPED and self._turns is not None
        return is_turn or hearing.kind is HearingKind.FLUSHED

    def close(self) -> None:
        """Forget the sound."""
        if self._stream:
            self._earlier_seconds += self._stream.sent_seconds
            self._desk.release(self._stream)
        self._stream, self._committed_seconds = None, 0.0
        self._held.clear()
        self._ends.clear()
        self._transcript = ""
        if self._flushes:
            self._flushes.clear()
            self.on_settled()

    def hold(self) -> None:
        """Words wait from here on: an answer is written."""
        self._is_held = True

    def release(self) -> None:
        """Take the words that waited."""
        self._is_held = False
        while self._held and not self._is_held:
            self._take(self._held.popleft())

    # ---- hearings

    def _open(self) -> None:
        pause = self._turns.silence_seconds if self._turns else None
        form = SoundForm(self._form.encoding, self._form.rate, pause)
        stream: SoundStream | None = None

        def on_hearing(hearing: Hearing) -> None:  # in a thread of the process
            self._post(lambda: self._arrived(stream, hearing))

        prompt = f"{self._prompt} {self._host.question}"
        stream = self._stream = self._desk.open(on_hearing, form, prompt)

    def _arrived(self, stream: SoundStream | None, hearing: Hearing) -> None:
        if stream is not self._stream:  # of a stream that was cleared
            return
        is_cleared = bool(self._ends) and self._ends[0]
        if hearing.kind is HearingKind.FLUSHED:
            self._ends.popleft()
        has_failed = hearing.kind is HearingKind.FAILED
        if is_cleared and not has_failed:
            return
        if self._is_held and not has_failed:
            self._held.append(hearing)
        else:
            self._take(hearing)

    def _take(self, hearing: Hearing) -> None:
        self._host.guarded(lambda: self._handle(hearing))

    def _handle(self, hearing: Hearing) -> None:
        milliseconds = round(1000 * (self._earlier_seconds + hearing.seconds))
        if hearing.kind is HearingKind.WORDS:
            text = "".join(word.text for word in hearing.words)
            self._host.heard(text)
            self._transcript += text
            self._tell(f"{TRANSCRIPTION}.delta", content_index=0, delta=text)
        elif hearing.kind is HearingKind.FLUSHED:
            self._end_item(hearing)
        elif hearing.kind is HearingKind.FAILED:
            self.close()
            raise RefusalError("recogniser_failed", hearing.reason, status=500)
        elif self._turns and hearing.kind is HearingKind.STARTED:
            self._tell(f"{AUDIO_BUFFER}.speech_started", audio_start_ms=milliseconds)
        elif self._turns and hearing.kind is HearingKind.STOPPED:
            self._tell(f"{AUDIO_BUFFER}.speech_stopped", audio_end_ms=milliseconds)
            self._committed_seconds = max(self._committed_seconds, hearing.seconds)
            if self._close_item() and self._turns.answers:
                self._host.ask()

    def _end_item(self, hearing: Hearing) -> None:
        is_asked, is_item = self._flushes.popleft(), self._close_item()
        if is_asked and not is_item:
            reason = f"no word was recognised in the sound up to {hearing.seconds:.1f} s."
            self._host.refuse(RefusalError("input_audio_buffer_commit_empty", reason))
        if not self._flushes:
            self.on_settled()

    def _close_item(self) -> bool:
        item_id, transcript = self._item_id, self._transcript
        self._transcript = ""
        if not transcript.strip() or not self._host.close_item(item_id, AUDIO_BUFFER):
            return False
        said = {"item_id": item_id, "content_index": 0, "transcript": transcript.strip()}
        self._host.tell(f"{TRANSCRIPTION}.completed", **said)
        self._item_id = new_id("item")
        return True

    def _tell(self, kind: str, **fields: object) -> None:
        self._host.tell(kind, item_id=self._item_id, **fields)
