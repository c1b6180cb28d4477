"""The viewer's data of one rollout."""

from __future__ import annotations

import dataclasses

from adasr_trl.core.protocol import Ending
from adasr_trl.evaluation.outcome import outcome
from adasr_trl.report.trajectories import trajectory
from support.example_rollout import EPISODE, ROLLOUT
from support.settings import STREAMING


def test_no_marker_reaches_the_page() -> None:
    malformed = dataclasses.replace(
        ROLLOUT, ending=Ending.MALFORMED, deep="5 + 3<skip>", answer="3 Ann 3<EOR>"
    )
    judged = outcome(malformed, EPISODE, STREAMING.clock)
    shown = trajectory(malformed, EPISODE, judged, STREAMING)
    assert (shown["deep"], shown["answer"]) == ("5 + 3", "3 Ann 3")
    assert shown["ending"] == "malformed"
