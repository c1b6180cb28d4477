"""A story and its question, a reasoner, and adasr stream called as from a shell."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.engines import HFEngine
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from adasr_trl.live.reasoner import StreamingReasoner

QUESTION = "How many coins does Tom have?"
TEXT = "Tom has 5 coins. He sings. Tom finds 3 coins."
EPISODE = Episode(
    id="live",
    group="live",
    question=QUESTION,
    chunks=("Tom has 5 coins.", " He sings.", " Tom finds 3 coins."),
    answer="8",
    answer_type=AnswerType.TEXT,
    source=Source("test", "1", "Apache-2.0", "train"),
)


def pieces(text, size):
    return [text[i : i + size] for i in range(0, len(text), size)]


def reasoner_of(model, tokenizer, streaming):
    codec = Codec(tokenizer, streaming.markers)
    layout = build_layout(streaming, codec)
    return StreamingReasoner(HFEngine(model, codec, layout, streaming), layout)


@contextlib.contextmanager
def piped(data: bytes):
    """Standard input is a pipe that holds ``data`` and is closed."""
    reading, writing = os.pipe()
    threading.Thread(target=lambda: (os.write(writing, data), os.close(writing))).start()
    kept, sys.stdin = sys.stdin, os.fdopen(reading)
    try:
        yield
    finally:
        sys.stdin.close()
        sys.stdin = kept


def stream(run, *flags, data=None):
    command = ["stream", run, "--question", QUESTION, "--device", "cpu", *flags]
    if data is None:
        return adasr(command)
    with piped(data):
        return adasr(command)


def threads_left() -> list[str]:
    """The threads of a stream that do not end within seconds of it."""
    own = [each for each in threading.enumerate() if each.name.startswith("adasr")]
    for each in own:
        each.join(timeout=10)
    return [each.name for each in own if each.is_alive()]
