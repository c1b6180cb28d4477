"""A model that answers: taught on short stories until it ends its thoughts and its deep part properly."""

from __future__ import annotations

import itertools

import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.serving.limits import Limits
from adasr_trl.serving.recogniser_desk import RecogniserDesk
from support import stand_in_speech as stand_in
from support.live_use import QUESTION, reasoner_of
from support.settings import STREAMING
from support.tiny_model import small_model, teach

THINGS = (("He sings.", 0), ("Tom finds 3 coins.", 3), ("Tom loses 1 coin.", -1))


def stories() -> list[Episode]:
    """60 short stories about Tom's coins."""
    found = []
    for number in range(60):
        total = 2 + number % 7
        chunks, thoughts = [f"Tom has {total} coins."], [f"Tom {total}"]
        for words, change in itertools.islice(itertools.cycle(THINGS), number % 3, number % 3 + 2):
            total += change
            chunks.append(f" {words}")
            thoughts.append(f"Tom {total}" if change else "")
        found.append(
            Episode(
                id=str(number),
                group=str(number),
                question=QUESTION,
                chunks=tuple(chunks),
                answer=str(total),
                answer_type=AnswerType.NUMBER,
                source=Source("test", "1", "Apache-2.0", "train"),
                thoughts=tuple(thoughts),
                deep=f"Tom {total}",
            )
        )
    return found


@pytest.fixture(scope="session")
def answering_weights(tokenizer):
    """Made once."""
    return teach(tokenizer, stories(), steps=90)


@pytest.fixture(scope="module")
def answering(tokenizer, answering_weights):
    """The model."""
    model = small_model(tokenizer)
    model.load_state_dict(answering_weights)
    return model.eval()


@pytest.fixture(scope="module")
def reasoner(answering, tokenizer):
    """The model with the protocol of its training."""
    return reasoner_of(answering, tokenizer, STREAMING)


@pytest.fixture(scope="module")
def recogniser():
    """A stand-in that hears the words of ``stand_in_speech.spoken``."""
    desk = RecogniserDesk(stand_in.load, "tiny.en", Limits())
    yield desk
    desk.close()
