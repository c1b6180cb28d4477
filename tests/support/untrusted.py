"""Untrusted texts by number: control tokens, markup, escapes, and characters that hide, turn, join or break others."""

# ruff: noqa: RUF001 - ambiguous and invisible characters are meant

from __future__ import annotations

import random
import string

from adasr_trl.core.protocol import Markers

FLAG = "ranByText"  # what a script in a page would set on its window
_RUN = f"window.{FLAG}=1;alert(1)"
CONTROL_TOKENS = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>"),
    *("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    *("[INST]", "[/INST]", "<s>", "</s>", "<<SYS>>", "<unk>", "<pad>", "[CLS]", "[SEP]", "[MASK]"),
    *("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<extra_id_0>", "▁", "<0x0A>", "Ġ"),
    *("<end>", "<user>", "<assistant>", *Markers().all(), "<eot>", "< EOT >", "<EOT", "EOR>"),
)
MARKUP = (
    f"<script>{_RUN}</script>",
    f"</script><script>{_RUN}</script>",
    f"<img src=x onerror={_RUN!r}>",
    f"<svg onload={_RUN!r}><circle r=9></svg>",
    f"<svg><script>{_RUN}</script></svg>",
    f"<iframe srcdoc=\"<script>parent.{FLAG}=1</script>\"></iframe>",
    f"<a href=\"javascript:{_RUN}\">x</a>",
    f"\" autofocus onfocus=\"{_RUN}",
    f"'-({_RUN})-'",
    f"${{{_RUN}}}",
    "<!--<script>", "-->", "]]>", "<![CDATA[", "</textarea>", "</title>", "<base href=//x>",
    "<meta http-equiv=refresh content=0;url=//x>", "<style>*{display:none}</style>", "<plaintext>",
    "&lt;b&gt;", "&#x3c;i&#x3e;", "&nbsp", "{{7*7}}", "{% raw %}", "[red]bold[/red]", "[link=//x]y",
)  # fmt: skip
ESCAPES = (
    "\x1b[2J", "\x1b[31m", "\x1b]0;title\x07", "\x1b]8;;//x\x1b\\link\x1b]8;;\x1b\\", "\x1b]52;c;YQ==\x07", "\x9b5n",
    "\x1bP$q\x1b\\", "\x1bc", "\x07", "\x08\x08", "\x00", "\x7f", "\x85", "\x0b\x0c", "\r", "\r\n", "\x1a\x04\x03",
)  # fmt: skip
CHARACTERS = (
    "\u202ereversed\u202c", "\u2066x\u2069", "\u200f", "\u200b", "\u200d", "\ufeff", "\u2060", "\u00ad", "\u2028", "\u2029",
    "\ufffe", "\U000e0041\U000e007f", "\ufff9", "e" + "\u0301" * 40, "Z\u0351\u036b\u0343", "한\u1100\u1161", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪",
    "👍🏽", "1️⃣", "ﷺ", "𒐫", "א5", "٥", "५", "½", "ⅷ", "Ａ", "。", "؟", "।", "…", "\u00a0", "\u3000", "\u2003", "\t", "\ufffd",
)  # fmt: skip
MARKDOWN = (
    "# x",
    "**b**",
    "`c`",
    "```\ncode\n```",
    "| a | b |",
    "![i](//x)",
    "$x^2$",
    "\\",
    "\\n",
    "%s",
    "=1+1",
    "../..",
)
WORDS = (
    "Tom",
    "has",
    "5",
    "coins",
    "He",
    "finds",
    "3.5",
    "more",
    "i.e.",
    "Dr.",
    "left",
    "(see",
    "Fig.",
    "2)",
    '"No!"',
)
HALF_PAIR = "\ud83d"  # half of a surrogate pair: no text


def untrusted_text(seed: int) -> str:
    """The text of a seed: some sentences of words among hostile pieces; one in twenty holds half a surrogate pair."""
    dice = random.Random(seed)
    pools = (CONTROL_TOKENS, MARKUP, ESCAPES, CHARACTERS, MARKDOWN)
    parts = []
    for _ in range(dice.randint(1, 24)):
        pool = WORDS if dice.random() < 0.6 else dice.choice(pools)
        parts.append(dice.choice(pool))
        parts.append(dice.choice((" ", " ", " ", "", ". ", "! ", "\n", "\n\n", ".\n")))
    if dice.random() < 0.1:
        length = dice.randint(100, 3000)
        parts.append("".join(dice.choice(string.ascii_letters) for _ in range(length)))
    if dice.random() < 0.2:
        drawn = (dice.randrange(0x110000) for _ in range(20))
        parts += (chr(code) for code in drawn if not 0xD800 <= code < 0xE000)
    if dice.random() < 0.05:
        parts.insert(dice.randrange(len(parts)), HALF_PAIR)
    return "".join(parts)


def is_text(text: str) -> bool:
    """Whether the text can be written as UTF-8 and is not blank."""
    return HALF_PAIR not in text and bool(text.strip())
