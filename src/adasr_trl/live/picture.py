"""A stream as an SVG picture that loads nothing: what a terminal showed, with the thoughts beside the input.

adasr stream RUN --question "..." --replay story.txt --svg docs/stream.svg
"""

from __future__ import annotations

import io
from pathlib import Path

from adasr_trl.files import write_text
from adasr_trl.live.rows import Beside, tail, visible
from adasr_trl.live.screen import Closing, Opening
from adasr_trl.live.script import Script

WIDTH = 104
# Rich's own frame fetches a font from a CDN; this one has none of its own, and its only address names the format.
FRAME = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
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


def draw(path: Path, opening: Opening, script: Script, closing: Closing) -> None:
    """Write the picture of a whole stream."""
    from rich.console import Console
    from rich.text import Text

    console = Console(
        record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor"
    )
    console.print(Text(f"question {visible(opening.question)}", style="bold"))
    console.print(Beside(script.pairs))
    console.print(tail(script.tail))
    console.print(Text(closing.words(), style="bold"))
    title = f"adasr stream, {opening.layout} layout"
    write_text(path, console.export_svg(title=title, code_format=FRAME, unique_id="adasr"))
