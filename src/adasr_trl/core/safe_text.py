r"""Untrusted text made safe to print: control and direction characters become visible.

>>> visible("a\x1b[2J")
'a␛[2J'
"""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # parts of letters and emoji in some scripts; harmless


def visible(text: str) -> str:
    """``text`` with a picture for each control, direction or surrogate character; newlines stay."""
    return "".join(_picture(character) for character in text)


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
