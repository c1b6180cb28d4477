"""One rollout on a terminal: all of its parts in words, and nothing that a model wrote can act on the terminal."""

import dataclasses
import io
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from adasr_trl.cli.show import plain, render, visible
from adasr_trl.core.clock import Clock
from adasr_trl.core.protocol import Ending
from support.example_rollout import EPISODE, ROLLOUT, R, S

CLOCK = Clock(seconds_per_token=0.1, prefill_seconds_per_token=0.0)


def squeezed(text: str) -> list[str]:
    """The lines with runs of spaces made one."""
    return [re.sub(" +", " ", line).strip() for line in text.splitlines()]


def test_a_reader_without_colours_sees_every_part_by_its_label() -> None:
    # Thoughts of 2, 3 and 1 tokens at 0.1 s each behind their chunks; then two deep tokens up to the value: 0.3 s.
    assert squeezed(plain(ROLLOUT, EPISODE, CLOCK)) == [
        "question How many apples has Tom?",
        "1.60 s read Tom has 5 apples.",
        "1.80 s think Tom 5 2 tokens",
        "2.80 s read He buys 3.",
        "3.10 s think Tom 5 + 3 cut off, 3 tokens",
        "3.60 s read It rains.",
        "3.70 s skip 1 token",
        "deep 5 + 3 = 8 3 tokens",
        "3.90 s answer 8",
        "right ✓ gold 8",
        "streaming 6 tokens, deep 3 tokens, backlog 0.10 s, answer latency 0.30 s",
    ]


def test_a_wrong_answer_and_a_malformed_end_are_named() -> None:
    wrong = dataclasses.replace(ROLLOUT, ending=Ending.MALFORMED, answer=None)
    lines = squeezed(plain(wrong, EPISODE, CLOCK))
    assert lines[-4:-1] == [
        "deep 5 + 3 = 8 malformed, 3 tokens",
        "3.90 s answer malformed, not counted",
        "wrong ✗ gold 8",
    ]


def test_no_marker_of_the_format_is_shown() -> None:
    malformed = dataclasses.replace(ROLLOUT, ending=Ending.MALFORMED, answer="3 Ann 3<EOR>")
    assert "3.90 s answer 3 Ann 3 malformed, not counted" in squeezed(
        plain(malformed, EPISODE, CLOCK)
    )


def test_a_chunk_behind_a_long_thought_is_shown_at_the_start_of_its_reading() -> None:
    slow = dataclasses.replace(CLOCK, seconds_per_token=1.0)  # the first thought ends at 3.6 s
    lines = squeezed(plain(ROLLOUT, EPISODE, slow))
    assert lines[1:4] == [
        "1.60 s read Tom has 5 apples.",
        "3.60 s think Tom 5 2 tokens",
        "3.60 s read He buys 3.",
    ]


def test_read_then_think_shows_no_thoughts() -> None:
    phases = tuple(R if phase is S else phase for phase in ROLLOUT.phases)
    silent = dataclasses.replace(ROLLOUT, phases=phases, thought_endings=(), thoughts=())
    text = plain(silent, EPISODE, CLOCK)
    assert "think" not in text
    assert "skip" not in text
    assert text.count(" read ") == 3


def test_colours_tell_thought_deep_skip_and_failure_apart() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100, color_system="standard", force_terminal=True)
    console.print(render(ROLLOUT, EPISODE, CLOCK))
    text = out.getvalue()
    assert "\x1b[36mTom 5 " in text  # cyan
    assert "\x1b[1;31mTom 5 + 3" in text  # bold red
    assert "\x1b[2mskip" in text  # dim
    assert "\x1b[35m5 + 3 = 8" in text  # magenta


def test_escape_codes_of_a_model_are_shown_and_not_sent() -> None:
    thoughts = ("\x1b[2J\x1b]0;title\x07", "a\rb\x08\x7f", "")
    untrusted = dataclasses.replace(ROLLOUT, thoughts=thoughts, deep="\x9b31m")
    text = plain(untrusted, EPISODE, CLOCK)
    assert "␛[2J␛]0;title␇" in text
    assert "a␍b␈␡" in text
    assert "<U+009B>31m" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_directions_and_surrogates_are_shown_and_letters_are_left_alone() -> None:
    assert visible("8\u202e9\u2028\ud800") == "8<U+202E>9<U+2028><U+D800>"
    assert visible("é 漢 क्\u200cष\n✓") == "é 漢 क्\u200cष\n✓"


def test_markup_of_a_model_is_text() -> None:
    untrusted = dataclasses.replace(
        ROLLOUT, deep="[red]5[/red] [/] :apple: [link=http://a]x[/link]"
    )
    assert "[red]5[/red] [/] :apple: [link=http://a]x[/link]" in plain(untrusted, EPISODE, CLOCK)


def test_a_model_cannot_forge_a_row() -> None:
    # Its new lines stay in the third column, under its own words.
    forged = dataclasses.replace(ROLLOUT, answer="7\nright  ✓ gold 8, not 7")
    lines = plain(forged, EPISODE, CLOCK).splitlines()
    assert [line.split()[0] for line in lines if "gold 8" in line] == ["right", "wrong"]
    column = next(line.index("7") for line in lines if "answer" in line)
    assert lines[-3].index("right") == column
    assert lines[-2].index("wrong") < column


untrusted_text = st.text(st.characters(codec=None), max_size=30)


@settings(deadline=None)
@given(untrusted_text, untrusted_text, untrusted_text)
def test_no_text_raises_or_sends_a_control_character(thought: str, deep: str, answer: str) -> None:
    untrusted = dataclasses.replace(
        ROLLOUT, thoughts=(thought, thought, thought), deep=deep, answer=answer
    )
    text = plain(untrusted, EPISODE, CLOCK)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


def test_the_command_line_pays_for_rich_only_when_it_shows() -> None:
    code = "import sys, adasr_trl.cli.show; print('rich' in sys.modules, 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_on_a_terminal_the_thought_stands_beside_its_chunk() -> None:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as captured:
        console.print(render(ROLLOUT, EPISODE, CLOCK))
    lines = squeezed(captured.get())
    assert "1.60 s Tom has 5 apples. think Tom 5 2 tokens 1.80 s" in lines
    assert "3.60 s It rains. skip 1 token 3.70 s" in lines
    assert "deep 5 + 3 = 8 3 tokens" in lines


@pytest.mark.parametrize("width", [20, 40])
def test_a_narrow_terminal_raises_nothing(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(ROLLOUT, EPISODE, CLOCK))
