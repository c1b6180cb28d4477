"""Markup out of a text: tags of SSML and HTML, and entities as their characters.

    >>> without_tags(with_entities_read("<b>Is x&lt;y</b>, and y<z>3?<br/>"))
    'Is x<y, and y<z>3?'

Other angle brackets are the text's own.
"""

from __future__ import annotations

import html
import re

_SSML = "speak|voice|prosody|emphasis|break|say-as|phoneme|sub|audio|lexicon|lookup|mark|par|seq|media|desc|w|token"
_SSML += r"|(?:amazon|google|mstts):[\w-]+"  # of vendors
_HTML = (
    "html|head|title|body|div|span|p|br|hr|wbr|h[1-6]|ul|ol|li|dl|dt|dd|table|caption|thead|tbody|tfoot|tr|th|td|col|colgroup"
    "|a|abbr|address|article|aside|b|bdi|bdo|big|blockquote|button|center|cite|code|del|details|dfn|em|figcaption|figure"
    "|font|footer|form|header|i|iframe|img|input|ins|kbd|label|link|main|meta|nav|noscript|object|option|pre|q|s|samp"
    "|script|section|select|small|source|strike|strong|style|summary|sup|svg|textarea|time|tt|u|var|video|math|mi|mn|mo|mtext"
    "|mrow|msup|msub|mfrac|msqrt"
)
_VALUE = r"\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'|[^\s\"'<>=`]++)"
_SWITCH = "async|autoplay|checked|controls|defer|disabled|hidden|loop|multiple|muted|nowrap|open|readonly|required|selected"
_TAG = re.compile(
    rf"<(?:/({_SSML}|{_HTML})|({_SSML}|{_HTML})((?:\s+(?:[\w:-]++{_VALUE}|(?:{_SWITCH})\b))*+))\s*+/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z]\w{1,30});")
_OPERAND = re.compile(r"(?:\d|(?<![^\W_])[^\W_])$")


def with_entities_read(text: str) -> str:
    """A text with the characters that its entities stand for."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def without_tags(text: str) -> str:
    """A text without the tags of SSML and HTML; "x<b>3" without an end of <b> is a comparison."""
    closed = {name.lower() for name, _, _ in _TAG.findall(text) if name}

    def replaced(tag: re.Match[str]) -> str:
        name, attributes = tag[2] or "", tag[3]
        is_bare = len(name) == 1 and not attributes and name.lower() not in closed
        before = _OPERAND.search(text, max(0, tag.start() - 2), tag.start())
        is_comparison = is_bare and before and text[tag.end() : tag.end() + 1].isalnum()
        return tag[0] if is_comparison else ""

    return _TAG.sub(replaced, text)
