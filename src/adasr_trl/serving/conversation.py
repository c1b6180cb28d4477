"""A client's texts, and the live stream that reads them: a change re-reads only what follows it.

    >>> conversation.append("Tom has 5 coins. Tom finds 3")     # read at once
    >>> conversation.clear()                                     # not committed, so taken back
    >>> conversation.put("item_1", "Tom has 5 coins.", None)
    >>> stream = conversation.finish("")                         # the answer is being written

The question is what the model knows first. Items are committed texts in order; the buffer is text that still arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adasr_trl.core.errors import UserError
from adasr_trl.core.sentences import sentence_chunks
from adasr_trl.live.stream import LiveStream
from adasr_trl.serving.limits import Limits, RefusalError

QUESTION_MARKS = ("?", "？", "؟", "՞", "፧")  # noqa: RUF001 - of Chinese, Arabic, Armenian, Ethiopic


@dataclass(frozen=True)
class Item:
    """A committed text; ``end`` is the stream's number of chunks behind it."""

    id: str
    text: str
    end: int = 0


class Conversation:
    """See the module.

    Attributes:
        question: The session's question; "" before it is known.
        items: The committed texts.
        buffer: Text that is not committed yet.
        stream: What reads them; None before the first text with a question.
    """

    def __init__(
        self,
        open_stream: Callable[[str], LiveStream],
        close_stream: Callable[[LiveStream], None],
        limits: Limits,
    ) -> None:
        self._open_stream, self._close_stream, self._limits = open_stream, close_stream, limits
        self.question = self.buffer = ""
        self.items: list[Item] = []
        self.stream: LiveStream | None = None
        self._asked: str | None = None  # the question of the stream; None if it is of use only once
        self._answers: dict[str, str] = {}  # ids of answers, and of the items before them

    def append(self, text: str) -> None:
        """More text, in pieces of any size."""
        self.check_question()
        self._check_room(len(text))
        if not self.buffer and self.items:
            text = apart(text)
        stream = self._ready(self.question)
        if stream.ended_early:
            raise RefusalError("stream_ended", f"{stream.ended_early}; clear or delete some text.")
        self.buffer += text
        stream.feed(text)

    def check_question(self) -> None:
        """Refuse input before there is a question."""
        if not self.question:
            reason = "session.instructions is empty; send session.update with the question first."
            raise RefusalError("no_question", reason)

    def commit(self, item_id: str) -> Item:
        """End of the buffer: it becomes an item, and its last sentence is read."""
        if not self.buffer.strip():
            raise RefusalError("input_text_buffer_empty", "the buffer has no text.")
        stream = self._ready(self.question)
        stream.cut()
        item = Item(item_id, self.buffer, len(stream.chunks))
        self.items.append(item)
        self.buffer = ""
        return item

    def clear(self) -> None:
        """Take the buffer back."""
        self.buffer = ""
        if self.stream:
            self._reread(len(self.items), ())

    def put(self, item_id: str, text: str, after: str | None) -> None:
        """Add an item behind another one (by default, the last), or change the text of one that is there."""
        texts = [(item.id, item.text) for item in self.items]
        ids = [item.id for item in self.items]
        if item_id in ids:
            at = ids.index(item_id)
            texts[at] = (item_id, text)
            self._check_room(len(text) - len(self.items[at].text))
        else:
            at = self._place(after, ids)
            texts.insert(at, (item_id, text))
            self._check_room(len(text), items=1)
        self._reread(at, texts[at:])

    def note_answer(self, item_id: str) -> None:
        """An answer stands behind the items so far: clients name it as the one before their next item."""
        self._answers[item_id] = self.items[-1].id if self.items else "root"
        while len(self._answers) > self._limits.max_items:
            del self._answers[next(iter(self._answers))]

    def delete(self, item_id: str) -> None:
        """Remove an item; an answer is none that is read."""
        if self._answers.pop(item_id, None):
            return
        ids = [item.id for item in self.items]
        at = self.index(item_id)
        self._reread(at, [(each, self.items[ids.index(each)].text) for each in ids[at + 1 :]])

    def index(self, item_id: str) -> int:
        """Number of an item; refused where there is none."""
        for at, item in enumerate(self.items):
            if item.id == item_id:
                return at
        raise RefusalError("item_not_found", f"no item has the id {item_id!r}.", "item_id")

    def finish(self, question: str) -> LiveStream:
        """Ask for the answer to a question, by default the session's, else the one that ends the text."""
        question = question or self.question
        if question:
            stream = self._ready(question)
        else:
            items = list(self.items)
            stream = self._open(*self._asked_in_the_text())
            self.items, self._asked = items, None  # the stream has read less than the items
        if not (stream.chunks or stream.open_text.strip()):
            raise RefusalError("no_input", "there is no text to answer from.")
        stream.finish()
        return stream

    def close(self) -> None:
        """Forget the stream."""
        if self.stream:
            self._close_stream(self.stream)
        self.stream = None

    def _asked_in_the_text(self) -> tuple[str, list[tuple[str, str]]]:
        texts = [(item.id, item.text) for item in self.items]
        *sentences, last = sentence_chunks(texts[-1][1]) if texts else [""]
        question = last.strip()
        if not question.endswith(QUESTION_MARKS):
            reason = "no question: give a system message or session.instructions, or end the text with a question and its mark."
            raise RefusalError("no_question", reason)
        texts[-1] = (texts[-1][0], "".join(sentences))
        return question, [(item_id, text) for item_id, text in texts if text.strip()]

    def _check_room(self, characters: int, items: int = 0) -> None:
        most = self._limits.max_text_characters
        if sum(len(item.text) for item in self.items) + len(self.buffer) + characters > most:
            raise RefusalError("input_too_long", f"a session reads {most} characters at most.")
        if len(self.items) + items > self._limits.max_items:
            raise RefusalError("too_many_items", f"{len(self.items)} items are the most.")

    def _place(self, after: str | None, ids: Sequence[str]) -> int:
        if after is None:
            return len(ids)
        after = self._answers.get(after, after)
        return 0 if after == "root" else self.index(after) + 1

    def _ready(self, question: str) -> LiveStream:
        """The stream of a question, open for more text."""
        if self.stream is None or self._asked != question:
            return self._open(question, [(item.id, item.text) for item in self.items])
        if self.stream.finished:
            self.stream.rewind(len(self.stream.chunks))
        return self.stream

    def _open(self, question: str, texts: Sequence[tuple[str, str]]) -> LiveStream:
        self.close()
        self.stream, self._asked = self._open_stream(question), question
        self._read(self.stream, 0, texts)
        return self.stream

    def _reread(self, at: int, texts: Sequence[tuple[str, str]]) -> None:
        """Let the items from number ``at`` on be these."""
        stream = self.stream
        if stream and self._asked == self.question and not stream.ended_early:
            self._read(stream, at, texts)
            return
        before = list(self.items)
        self.items[at:] = [Item(*text) for text in texts]
        self.close()
        try:
            if self.question:
                self._ready(self.question)
        except UserError:  # no room for a stream: the client may send the item again
            self.items = before
            raise

    def _read(self, stream: LiveStream, at: int, texts: Sequence[tuple[str, str]]) -> None:
        start = self.items[at - 1].end if at else 0
        chunks: list[str] = []
        items = []
        for item_id, text in texts:
            chunks += sentence_chunks(apart(text) if start or chunks else text)
            items.append(Item(item_id, text, start + len(chunks)))
        self.items[at:] = items
        same = 0
        for old, new in zip(stream.chunks[start:], chunks, strict=False):
            if old != new:
                break
            same += 1
        stream.rewind(start + same)
        for chunk in chunks[same:]:
            stream.read(chunk)
        if self.buffer:
            stream.feed(self.buffer)


def apart(text: str) -> str:
    """A text that follows another one, set off by white space."""
    return text if text[:1].isspace() else f" {text}"
