"""One rollout for a human: what arrived, what the model thought meanwhile, what it answered, how long the user waited.

    question How many apples has Tom?
     1.60 s read    Tom has 5 apples.
     1.72 s think   Tom 5                                 4 tokens
     2.80 s read    He buys 3.
     2.83 s skip    <skip>                                 1 token
            deep    5 + 3 = 8                             9 tokens
     3.07 s answer  8
            right   ✓ gold 8
    streaming 5 tokens, deep 9 tokens, backlog 0.03 s, answer latency 0.27 s

The times are the clock's. On a terminal the thoughts stand beside the input, as ``adasr stream`` shows them live
(``live.rows``, where hostile text is made harmless). Tables over many rollouts are in ``report``.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.artifacts.names import EVAL_FOLDER
from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.outcome import outcome
from adasr_trl.live.rendering import (
    FAILED_STYLE,
    RIGHT_STYLE,
    Beside,
    Line,
    answer_line,
    count,
    deep_line,
    plain_line,
    read_line,
    tail,
    thought_line,
)

if TYPE_CHECKING:
    from rich.console import Group


def render(rollout: Rollout, episode: Episode, clock: Clock) -> Group:
    """The rollout as something a rich console prints. Colours only repeat what the labels say."""
    from rich.console import Group
    from rich.text import Text

    question = Text(f"question {visible(episode.question)}", style="bold")
    footer = Text(_footer(rollout, episode, clock), style="bold")
    pairs = Beside(_pairs(rollout, episode, clock))
    return Group(question, pairs, tail(_tail(rollout, episode, clock)), footer)


def plain(rollout: Rollout, episode: Episode, clock: Clock, width: int = 100) -> str:
    """The same as lines of text without colours."""
    pairs = _pairs(rollout, episode, clock)
    lines = [line for pair in pairs for line in pair if line]
    shown = [plain_line(line, width) for line in (*lines, *_tail(rollout, episode, clock))]
    question = plain_line(Line("question", episode.question), width).lstrip()
    return "\n".join((question, *shown, _footer(rollout, episode, clock))) + "\n"


def _pairs(rollout: Rollout, episode: Episode, clock: Clock) -> list[tuple[Line, Line | None]]:
    """Each chunk, and what was thought about it: nothing in read-then-think, or if it stopped before."""
    played = timeline(rollout, arrivals(episode, clock), clock)
    written = [
        thought_line(*each)
        for each in zip(
            rollout.thoughts,
            rollout.thought_endings,
            rollout.thought_tokens(),
            played.finish_seconds,
            strict=False,
        )
    ]
    read = [read_line(*each) for each in zip(episode.chunks, played.arrival_seconds, strict=True)]
    return list(itertools.zip_longest(read, written))


def _tail(rollout: Rollout, episode: Episode, clock: Clock) -> list[Line]:
    judged = outcome(rollout, episode, clock)
    label, mark, style = (
        ("right", "✓", RIGHT_STYLE) if judged.right else ("wrong", "✗", FAILED_STYLE)
    )
    end = arrivals(episode, clock)[-1] + judged.answer_latency_seconds
    return [
        deep_line(rollout.deep, rollout.ending, judged.deep_tokens, None),
        answer_line(rollout.answer or "", end),
        Line(label, f"{mark} gold {episode.answer}", style),
    ]


def _footer(rollout: Rollout, episode: Episode, clock: Clock) -> str:
    judged = outcome(rollout, episode, clock)
    return (
        f"streaming {count(judged.streaming_tokens)}, deep {count(judged.deep_tokens)}, "
        f"backlog {judged.latencies[0].backlog_seconds:.2f} s, "
        f"answer latency {judged.answer_latency_seconds:.2f} s"
    )


def show_run(run: Path, count: int, which: str, file: str | None) -> int:
    """Print recorded rollouts of an evaluated run; return the exit status of ``adasr show``.

    Args:
        run: The run's directory.
        count: How many rollouts.
        which: ``all``, ``right`` or ``wrong``.
        file: Which records under ``RUN/eval``; None takes the first.
    """
    from rich.console import Console
    from rich.text import Text

    from adasr_trl.evaluation.records import load_rollouts
    from adasr_trl.evaluation.settings import recorded_settings

    folder = run / EVAL_FOLDER
    settings = [each for each in recorded_settings(folder) if file in (None, each.file)]
    if not settings:
        raise UserError(
            f"{folder}: no records{f' named {file}' if file else ''}; run adasr eval first."
        )
    clock = load_streaming(run).clock
    console = Console()
    chosen = (
        (rollout, episode)
        for rollout, episode in load_rollouts(folder, settings[0])
        if which == "all" or (which == "right") == outcome(rollout, episode, clock).right
    )
    for rollout, episode in itertools.islice(chosen, count):
        title = f"{visible(episode.id)}, {settings[0].file}"
        if console.is_terminal:
            console.rule(Text(title))
            console.print(render(rollout, episode, clock))
        else:
            console.out(f"{title}\n{plain(rollout, episode, clock)}", highlight=False)
    return 0
