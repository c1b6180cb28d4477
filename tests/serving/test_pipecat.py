"""The pipecat service of examples/, in pipecat's own test pipeline; left out where pipecat is not installed."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import pytest

from support.live_use import QUESTION, TEXT
from support.serving import serving

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "pipecat_service.py"


def test_transcripts_become_thoughts_and_an_answer(reasoner):
    pytest.importorskip("pipecat", reason="needs pipecat-ai in an environment of its own")
    from pipecat.frames.frames import TranscriptionFrame, UserStoppedSpeakingFrame
    from pipecat.tests.utils import SleepFrame, run_test

    stream = reasoner.start(QUESTION)
    expected = stream.feed(TEXT) + stream.finish()
    service = runpy.run_path(str(EXAMPLE))["AdasrService"]
    with serving(reasoner.pool(2)) as served:
        heard = [
            *(TranscriptionFrame(text, "user", "") for text in ("Tom has 5 coins.", "He sings.")),
            SleepFrame(sleep=2.0),
            TranscriptionFrame("Tom finds 3 coins.", "user", ""),
            UserStoppedSpeakingFrame(),
            SleepFrame(sleep=4.0),
        ]
        down, _ = asyncio.run(run_test(service(QUESTION, served.socket), frames_to_send=heard))
    names = [type(frame).__name__ for frame in down]
    answer = "".join(frame.text for frame in down if type(frame).__name__ == "LLMTextFrame")
    assert answer == expected[-1].text
    assert names.count("LLMThoughtStartFrame") == names.count("LLMThoughtEndFrame") >= 2
    assert names[-1] == "LLMFullResponseEndFrame"
    first = names.index("LLMThoughtTextFrame")
    assert first < names.index("UserStoppedSpeakingFrame") < names.index("LLMTextFrame")
