"""One rollout for a human: what arrived, what the model thought meanwhile, what it answered, how long the user waited.

    question How many apples has Tom?
    1.60 s read   Tom has 5 apples.
           think  Tom 5                                 4 tokens
    2.80 s read   He buys 3.
           skip   <skip>                                 1 token
           deep   5 + 3 = 8                             9 tokens
           answer 8
           right  ✓ gold 8
    streaming 5 tokens, deep 9 tokens, backlog 0.03 s, wait 0.27 s

Episodes and rollouts hold text that somebody else or a model wrote. It is never read as markup, and its control
characters are made visible, so it can neither write terminal escapes nor leave its column: labels and endings cannot be forged. Tables over many
rollouts are in ``report``.
"""

from __future__ import annotations

import io
import itertools
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.clock import Clock, arrivals
from adasr_trl.episode import Episode
from adasr_trl.files import UserError
from adasr_trl.metrics import outcome
from adasr_trl.protocol import Ending
from adasr_trl.rollout import Rollout
from adasr_trl.streaming_file import load_streaming

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

STREAM_STYLE, DEEP_STYLE, SKIP_STYLE, FAILED_STYLE = "cyan", "magenta", "dim", "bold red"
_JOINERS = "\u200c\u200d"  # letters of some scripts and emoji need them; they move nothing


def visible(text: str) -> str:
    """``text`` with each control, direction or surrogate character replaced by a picture; newlines stay."""
    return "".join(_picture(character) for character in text)


def render(rollout: Rollout, episode: Episode, clock: Clock) -> Group:
    """The rollout as something a rich console prints. Colours only repeat what the labels say."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    judged = outcome(rollout, episode, clock)
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    _add_chunks(table, rollout, arrivals(episode, clock), episode.chunks)
    _add_written(table, "deep", rollout.deep, DEEP_STYLE, rollout.ending, judged.deep_tokens)
    _add(table, "answer", rollout.answer or "", DEEP_STYLE)
    label, mark, style = (
        ("right", "✓", "bold green") if judged.right else ("wrong", "✗", FAILED_STYLE)
    )
    _add(table, label, f"{mark} gold {episode.answer}", style)
    footer = (
        f"streaming {_count(judged.streaming_tokens)}, deep {_count(judged.deep_tokens)}, "
        f"backlog {judged.backlog_seconds:.2f} s, wait {judged.latency_seconds:.2f} s"
    )
    return Group(_question(episode), table, Text(footer, style="bold"))


def plain(rollout: Rollout, episode: Episode, clock: Clock) -> str:
    """``render`` as text without colours, 100 columns wide."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(render(rollout, episode, clock))
    return "".join(line.rstrip() + "\n" for line in captured.get().splitlines())


def _picture(character: str) -> str:
    code = ord(character)
    if character == "\n" or character in _JOINERS:
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return f"<U+{code:04X}>" if hidden else character


def _question(episode: Episode) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_row("question", Text(visible(episode.question), style="bold"))
    return table


def _add_chunks(
    table: Table, rollout: Rollout, arrival_seconds: tuple[float, ...], chunks: tuple[str, ...]
) -> None:
    tokens = rollout.thought_tokens()
    for k, (arrived, chunk) in enumerate(zip(arrival_seconds, chunks, strict=True)):
        _add(table, "read", chunk.strip(), "dim", when=f"{arrived:.2f} s")
        if k >= len(rollout.thought_endings):
            continue  # read-then-think, or stopped before this chunk
        ending = rollout.thought_endings[k]
        if ending is Ending.SKIP:
            _add(table, "skip", "<skip>", SKIP_STYLE, _count(tokens[k]))
        else:
            _add_written(table, "think", rollout.thoughts[k], STREAM_STYLE, ending, tokens[k])


def _add_written(
    table: Table, label: str, words: str, style: str, ending: Ending, tokens: int
) -> None:
    if ending in (Ending.OUT_OF_TOKENS, Ending.MALFORMED):
        _add(table, label, words, FAILED_STYLE, f"{ending.name} {_count(tokens)}")
    else:
        _add(table, label, words, style, _count(tokens))


def _add(
    table: Table, label: str, said: str, style: str, tokens: str = "", *, when: str = ""
) -> None:
    from rich.text import Text

    words = Text(visible(said), style=style)
    table.add_row(Text(when), Text(label, style=style), words, Text(tokens, style=style))


def _count(tokens: int) -> str:
    return f"{tokens} token" if tokens == 1 else f"{tokens} tokens"


def show_run(run: Path, count: int, which: str, file: str | None) -> int:
    """Print recorded rollouts of an evaluated run; return the exit status of ``adasr show``.

    Args:
        run: The run's directory.
        count: How many rollouts.
        which: ``all``, ``right`` or ``wrong``.
        file: Which records under ``RUN/eval``; None takes the first.
    """
    from rich.console import Console

    from adasr_trl.evaluation import EVAL_FOLDER, load_rollouts, recorded_settings

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
        console.rule(f"{episode.id}, {settings[0].file}")
        console.print(render(rollout, episode, clock))
    return 0
