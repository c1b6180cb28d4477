"""A stream as an SVG picture that loads nothing: a terminal with the thoughts beside the input, each at its time.

    adasr stream RUN --question "..." --replay story.txt --svg docs/stream.svg

A CSS animation that runs once lets words appear at their times. A viewer without animations, or a reader who asks for
reduced motion, sees all of them at once.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.core.files import write_text
from adasr_trl.core.safe_text import visible
from adasr_trl.live.display_state import DisplayState
from adasr_trl.live.rendering import SideBySide, tail, written_column
from adasr_trl.live.screen import StreamHeader
from adasr_trl.live.session import StreamSummary

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 104
LAST_SECONDS = 0.4  # between the answer and the summary
# Rich's own frame fetches a font from a CDN; this one fetches nothing: its only address names the format.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
@media (prefers-reduced-motion: no-preference) {{
.{unique_id}-matrix text {{ animation: {unique_id}-appear 0.2s both; }}
}}
@keyframes {unique_id}-appear {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
_WORDS = re.compile(
    r'<text (class="[^"]*" x="([\d.]+)"[^>]* clip-path="url\(#adasr-line-(\d+)\)")>'
)
_CHARACTER_WIDTH = 12.2  # rich's


def draw(path: Path, header: StreamHeader, state: DisplayState, summary: StreamSummary) -> None:
    """Write the picture of a whole stream."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor"
    )
    rows: list[tuple[float, float]] = []  # seconds of the left and right half of each line

    def show(part: RenderableType, left: float, right: float) -> None:
        console.print(part)
        rows.extend([(left, right)] * len(console.render_lines(part, pad=False)))

    show(Text(f"question {visible(header.question)}", style="bold"), 0.0, 0.0)
    for pair in state.pairs:
        left, right = ((line and line.seconds) or 0.0 for line in pair)
        show(SideBySide([pair]), left, right)
    for line in state.tail:
        show(tail([line]), line.seconds or 0.0, line.seconds or 0.0)
    end = state.seconds + LAST_SECONDS
    show(Text(summary.words(), style="bold"), end, end)
    title = f"adasr stream, {header.layout} layout"
    picture = console.export_svg(title=title, code_format=FRAME, unique_id="adasr")

    def delayed(words: re.Match[str]) -> str:
        is_right = float(words[2]) / _CHARACTER_WIDTH > written_column(WIDTH) - 1
        seconds = rows[min(int(words[3]), len(rows) - 1)][is_right]
        return f'<text {words[1]} style="animation-delay:{seconds:.2f}s">'

    write_text(path, _WORDS.sub(delayed, picture))
