"""A session that hears, with a stand-in recogniser: what its client sends, and what comes of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from support import sound_bytes as sb
from support.live_use import QUESTION
from support.serving import Desk
from support.stand_in_speech import spoken

APPEND, COMMIT, CLEAR = (f"input_audio_buffer.{name}" for name in ("append", "commit", "clear"))
WORDS = "conversation.item.input_audio_transcription"
PCM16K = {"type": "audio/pcm", "rate": 16_000}
LEAST = "input_audio_buffer_commit_empty"


def spoken_desk(reasoner, recogniser) -> Iterator[Desk]:
    """A session with its question, and its end."""
    desk = Desk(reasoner.pool(4), recogniser=recogniser)
    ask(desk)
    yield desk
    desk.session.close()


def ask(desk, question: str = QUESTION, **fields) -> None:
    audio = {"input": {"format": PCM16K, **fields}}
    session = {"type": "realtime", "instructions": question, "audio": audio}
    desk.send("session.update", session=session)


def say(desk, text: str, silence: float = 0.0, size: int = 4_801) -> None:
    """The sound in pieces that end inside a sample."""
    data = sb.pcm(spoken(text, silence))
    for start in range(0, len(data), size):
        desk.send(APPEND, audio=base64.b64encode(data[start : start + size]).decode())


def heard(desk) -> str:
    return "".join(each["delta"] for each in desk.of(f"{WORDS}.delta"))


def transcripts(desk) -> list[str]:
    return [each["transcript"] for each in desk.of(f"{WORDS}.completed")]
