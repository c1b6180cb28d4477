"""``adasr show``: recorded rollouts for a human, of an evaluation or (``--samples``) of a training that may go on.

    question How many apples has Tom?
     1.60 s read    Tom has 5 apples.
     1.72 s think   Tom 5                                 4 tokens
     2.80 s read    He buys 3.
     2.83 s skip                                           1 token
            deep    5 + 3 = 8                             9 tokens
     3.07 s answer  8
            right   ✓ gold 8
    streaming 5 tokens, deep 9 tokens, backlog 0.03 s, answer latency 0.27 s

Times are the clock's. On a terminal the thoughts stand beside the input, as in ``adasr stream`` (``live.rendering``,
which makes untrusted text harmless).
"""

from __future__ import annotations

import argparse
import itertools
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.artifacts.names import EVAL_FOLDER
from adasr_trl.artifacts.samples import Sample, read_samples
from adasr_trl.artifacts.saved_config import load_streaming, recorded_streaming
from adasr_trl.core.clock import Clock, arrivals, timeline
from adasr_trl.core.demo import results_directory
from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers, thought_text
from adasr_trl.core.rollout import Rollout
from adasr_trl.core.safe_text import visible
from adasr_trl.evaluation.outcome import outcome
from adasr_trl.live.rendering import (
    DisplayLine,
    SideBySide,
    answer_line,
    plain_line,
    tail,
    token_count,
    written_line,
)

if TYPE_CHECKING:
    from rich.console import Group

MARKERS = Markers()


def add_show(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("run", type=Path, help="a run that was evaluated")
    parser.add_argument("--count", type=int, default=3, help="how many rollouts")
    parser.add_argument("--filter", choices=("all", "right", "wrong"), default="all")
    parser.add_argument("--file", help="which records under RUN/eval (else the first)")
    parser.add_argument(
        "--samples", action="store_true", help="the last samples of a training, also while it runs"
    )
    parser.set_defaults(execute=_execute)


def _execute(options: argparse.Namespace) -> int:
    (_show_samples if options.samples else _show_records)(options)
    return 0


def _show_records(options: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.text import Text

    from adasr_trl.evaluation.records import load_rollouts
    from adasr_trl.evaluation.settings import recorded_settings

    run = results_directory(options.run)
    folder, file = run / EVAL_FOLDER, options.file
    settings = [setting for setting in recorded_settings(folder) if file in (None, setting.file)]
    if not settings:
        raise UserError(
            f"{folder}: no records{f' named {file}' if file else ''}; run adasr eval first."
        )
    streaming = load_streaming(run)
    clock, markers = streaming.clock, streaming.markers
    console, is_shown = Console(), _filter(options.filter, clock)
    shown = (pair for pair in load_rollouts(folder, settings[0]) if is_shown(*pair))
    for rollout, episode in itertools.islice(shown, options.count):
        title = f"{visible(episode.id)}, {settings[0].file}"
        if console.is_terminal:
            console.rule(Text(title))
            console.print(render(rollout, episode, clock, markers))
        else:
            console.out(f"{title}\n{plain(rollout, episode, clock, markers)}", highlight=False)


def _show_samples(options: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.text import Text

    run = results_directory(options.run)
    streaming = recorded_streaming(run)
    clock, markers = streaming.clock, streaming.markers
    console, is_shown = Console(), _filter(options.filter, clock)
    samples = (sample for sample in read_samples(run) if is_shown(sample.rollout, sample.episode))
    for sample in deque(samples, maxlen=options.count):
        console.rule(Text(visible(f"step {sample.step}, {sample.episode.id}")))
        console.print(Text(spell_rewards(sample)))
        console.print(render(sample.rollout, sample.episode, clock, markers))


def _filter(which: str, clock: Clock) -> Callable[[Rollout, Episode], bool]:
    """Whether to show a rollout: ``all``, ``right`` or ``wrong`` ones."""
    if which == "all":
        return lambda *_: True
    return lambda rollout, episode: outcome(rollout, episode, clock).right == (which == "right")


def spell_rewards(sample: Sample) -> str:
    """Each reward of a sample by its name."""
    values = {name: "unscored" if v is None else f"{v:.2f}" for name, v in sample.rewards.items()}
    return visible(", ".join(f"{name} {value}" for name, value in values.items()))


def render(rollout: Rollout, episode: Episode, clock: Clock, markers: Markers = MARKERS) -> Group:
    """The rollout for a rich console, without markers. Colours only repeat the labels."""
    from rich.console import Group
    from rich.text import Text

    question = Text(f"question {visible(episode.question)}", style="bold")
    pairs, after, footer = _display(rollout, episode, clock, markers)
    return Group(question, SideBySide(pairs), tail(after), Text(footer, style="bold"))


def plain(
    rollout: Rollout, episode: Episode, clock: Clock, markers: Markers = MARKERS, width: int = 100
) -> str:
    """The same as lines of text without colours."""
    pairs, after, footer = _display(rollout, episode, clock, markers)
    lines = [*(line for pair in pairs for line in pair if line), *after]
    question = plain_line(DisplayLine("question", episode.question), width).lstrip()
    return "\n".join((question, *(plain_line(line, width) for line in lines), footer)) + "\n"


def _display(
    rollout: Rollout, episode: Episode, clock: Clock, markers: Markers
) -> tuple[list[tuple[DisplayLine, DisplayLine | None]], list[DisplayLine], str]:
    """Chunks with their thoughts (where there are), the lines behind the input, and the last line."""
    played = timeline(rollout, arrivals(episode, clock), clock)
    judged = outcome(rollout, episode, clock)
    thoughts = zip(
        rollout.thoughts,
        rollout.thought_endings,
        rollout.thought_tokens(),
        played.finish_seconds,
        strict=False,  # read-then-think has none, and a rollout may end early
    )
    chunks = zip(episode.chunks, played.start_seconds, strict=True)
    read = [DisplayLine("read", chunk.strip(), seconds) for chunk, seconds in chunks]
    written = [
        written_line("think", thought_text(text, markers), ending, tokens, seconds)
        for text, ending, tokens, seconds in thoughts
    ]
    deep, answer = (thought_text(text or "", markers) for text in (rollout.deep, rollout.answer))
    label, mark = ("right", "✓") if judged.right else ("wrong", "✗")
    end = played.arrival_seconds[-1] + played.answer_latency_seconds
    after = [
        written_line("deep", deep, rollout.ending, judged.deep_tokens, None),
        answer_line(answer, rollout.ending, end),
        DisplayLine(label, f"{mark} gold {episode.answer}"),
    ]
    footer = (
        f"streaming {token_count(judged.streaming_tokens)}, deep {token_count(judged.deep_tokens)}, "
        f"backlog {played.backlog_seconds:.2f} s, answer latency {played.answer_latency_seconds:.2f} s"
    )
    return list(itertools.zip_longest(read, written)), after, footer
