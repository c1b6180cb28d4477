"""White space at the borders of chunks changes no token, however the text arrives."""

from __future__ import annotations

import pytest

from adasr_trl.core.protocol import Phase
from support.live_use import reasoner_of
from support.settings import PARALLEL, STREAMING

FORMS = {
    "a newline at the end": lambda chunks: ["".join(chunks) + "\n"],
    "Enter after each sentence": lambda chunks: [chunk.strip() + "\n" for chunk in chunks],
    "a blank line after each": lambda chunks: [chunk.strip() + "\n\n" for chunk in chunks],
    "Windows lines, indented": lambda chunks: [f"  {chunk.strip()}\r\n" for chunk in chunks],
    "two spaces, and a tab": lambda chunks: ["  ".join(map(str.strip, chunks)) + "\t\n"],
    "a no-break space": lambda chunks: ["\u00a0".join(map(str.strip, chunks))],
}


def told(reasoner, episode, pieces):
    stream = reasoner.start(episode.question)
    for piece in pieces:
        stream.feed(piece)
        if piece.endswith("\n"):
            stream.pause()
    stream.finish()
    rollout = stream.rollout
    tokens = list(zip(rollout.token_ids, rollout.phases, strict=True))
    # With two streams the order of reading and writing is that of the arrivals.
    read = sorted(token for token, phase in tokens if phase is Phase.READ)
    return read, [token for token, phase in tokens if phase is not Phase.READ]


@pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=lambda s: s.layout)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input_gives_the_tokens_of_the_text_as_built(
    model, tokenizer, episodes, streaming, form
):
    reasoner = reasoner_of(model, tokenizer, streaming)
    for episode in episodes[:4]:
        pieces = FORMS[form](episode.chunks)
        assert told(reasoner, episode, pieces) == told(reasoner, episode, ["".join(episode.chunks)])
