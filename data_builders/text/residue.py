r"""What other tools leave in texts: markup, entities, letters decoded twice, escapes that nobody decoded.

    >>> residue_in("<p>Tom&#39;s hens</p>"), residue_in("It is so.")
    ('HTML', None)

A build counts the texts that hold some and warns; it changes no text. The patterns are ours.
"""

from __future__ import annotations

import re

# ruff: noqa: RUF001 - what UTF-8 looks like in Windows' encoding is meant
_KINDS = {
    "HTML": re.compile(
        r"</?(?:p|br|b|i|u|em|strong|span|div|li|ul|ol|td|tr|a|h[1-6]|code|sup|sub)(?:\s[^<>]*)?/?>"
        r"|&(?:#\d{1,6}|#x[0-9a-f]{1,5}|amp|lt|gt|quot|apos|nbsp|[lr][sd]quo|[mn]dash|hellip);",
        re.IGNORECASE,
    ),
    "text decoded twice": re.compile("â€[™œ˜“”¦\x9d\x93\x94]|Ã[©¨¤¶¼±§¡³ª\xad]|Ã¢|Ã[\x80-\x9f]|Â[£°»«\xa0]"),
    r"a written \n": re.compile(r"\\r?\\?n(?![a-z])"),
}  # fmt: skip


def residue_in(text: str) -> str | None:
    """The kind of what a text should not hold; None for a clean one."""
    return next((kind for kind, pattern in _KINDS.items() if pattern.search(text)), None)
