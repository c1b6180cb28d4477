"""A stream as an SVG picture that loads nothing: a terminal with the thoughts beside the input, each when it came.

    adasr stream RUN --question "..." --replay story.txt --svg docs/stream.svg

Words appear at their times by a CSS animation that runs once; a viewer without one, or a reader who asks for reduced
motion, sees all of them at once.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from adasr_trl.core.files import write_text
from adasr_trl.core.safe_text import visible
from adasr_trl.live.display_state import Script
from adasr_trl.live.rendering import Beside, tail, written_column
from adasr_trl.live.screen import Closing, Opening

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 104
LAST_SECONDS = 0.4  # between the answer and the closing words
# Rich's own frame fetches a font from a CDN; this one has none of its own, and its only address names the format.
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


def draw(path: Path, opening: Opening, script: Script, closing: Closing) -> None:
    """Write the picture of a whole stream."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor"
    )
    rows = [(0.0, 0.0)] * _show(
        console, Text(f"question {visible(opening.question)}", style="bold")
    )
    for read, written in script.pairs:
        times = (read.seconds or 0.0, (written and written.seconds) or 0.0)
        rows += [times] * _show(console, Beside([(read, written)]))
    for line in script.tail:
        rows += [(line.seconds or 0.0,) * 2] * _show(console, tail([line]))
    end = max(time for row in rows for time in row) + LAST_SECONDS
    rows += [(end, end)] * _show(console, Text(closing.words(), style="bold"))
    title = f"adasr stream, {opening.layout} layout"
    picture = console.export_svg(title=title, code_format=FRAME, unique_id="adasr")
    write_text(path, _animated(picture, rows))


def _show(console: Console, part: RenderableType) -> int:
    """Print something; how many lines it took."""
    console.print(part)
    return len(console.render_lines(part, pad=False))


def _animated(picture: str, rows: Sequence[tuple[float, float]]) -> str:
    """Each line's words appear at its time: of the left half (what was read), or of the right one."""

    def delayed(found: re.Match[str]) -> str:
        is_right = float(found[2]) / _CHARACTER_WIDTH > written_column(WIDTH) - 1
        seconds = rows[min(int(found[3]), len(rows) - 1)][is_right]
        return f'<text {found[1]} style="animation-delay:{seconds:.2f}s">'

    return _WORDS.sub(delayed, picture)
