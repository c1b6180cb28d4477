"""Stops of the world's scripts, and those that end a sentence without white space.

    >>> ends_unspaced("小王有5个苹果", ".", "他"), ends_unspaced("我看了哈利", ".", "波")
    (True, False)

``WIDE`` is Unicode's Sentence_Terminal without ASCII's stops, the full-width full stop and the Burmese comma, and a few
that it lacks. The full-width and small full stops are read as ".". The short lists of words are ours. Left out: stops
beyond U+FFFF, with which a pattern's set is searched three times slower.
"""

from __future__ import annotations

import re
import unicodedata

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant
_TERMINALS = """
    589 61d-61f 6d4 700-702 7f9 837 839 83d-83e 964-965 104b 1362 1367-1368 166e 1735-1736 17d4-17d5 1803 1809
    1944-1945 1aa8-1aab 1b5a-1b5b 1b5e-1b5f 1b7d-1b7e 1c3b-1c3c 1c7e-1c7f 203c-203d 2047-2049 2e2e 2e3c 2e53-2e54
    3002 a4ff a60e-a60f a6f3 a6f7 a876-a877 a8ce-a8cf a92f a9c8-a9c9 aa5d-aa5f aaf0-aaf1 abeb fe12 fe15-fe16
    fe56-fe57 ff01 ff1f ff61
"""
_OTHERS = "37e 5c3 f0d-f0e 10fb"  # Greek, Hebrew, Tibetan, Georgian


def _characters(ranges: str) -> str:
    bounds = [[int(bound, 16) for bound in part.split("-")] for part in ranges.split()]
    return "".join(chr(code) for ends in bounds for code in range(ends[0], ends[-1] + 1))


# These end a sentence whatever follows, with or without white space.
WIDE = _characters(_TERMINALS + _OTHERS)
WIDE_STOPS = frozenset(WIDE)
FULL_STOPS = str.maketrans("．﹒", "..")

KANA = "\u3040-\u30ff\u31f0-\u31ff"
HAN_KANA = f"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff{KANA}"
_WIDE_LETTER = re.compile(f"[{HAN_KANA}]")
# A full stop within a Chinese or Japanese line may also stand in a name ("哈利.波特") or behind a label ("例1.").
# So it ends a sentence only where the words on one of its sides tell.
_LABEL = re.compile(rf"(?:^|[\s{HAN_KANA}])[A-Z]$|[例題题第图圖表]\d+$|^\d{{1,3}}$")
_ENDING = re.compile("[了吗嗎呢吧ぁ-ん]$|(?<![第0-9０-９])[0-9０-９]+[\u4e00-\u9fff]{1,3}$")
_STARTING = frozenset(
    "他她它我你您这這那还還问問请請求如每因所现現已然再当當设設则則故解其共两兩甲乙“「『∴∵"
)
# Particles: what stands before them was no sentence.
_PARTICLES = frozenset("のがはをにでともへやかっ")
# ASCII's stand-ins for stops of one script, and the Ethiopic word space written twice.
_STAND_IN = re.compile(
    r"[\u0900-\u0b7f](\|+)$|[\u1200-\u135a\u1369-\u137c](?:::|፡፡)$|[\u0561-\u0587](:)$"
)
STAND_INS = "|:፡"


def stand_in(text: str) -> str:
    """The stop that the end of a text stands for: "|" behind Indic letters, ":" behind Armenian ones; else "".

    >>> stand_in("ቶም መጣ::"), stand_in("हैं|"), stand_in("at 5:")
    ('።', '|', '')
    """
    match = _STAND_IN.search(text)
    return (match[1] or match[2] or "።") if match else ""


def ends_unspaced(before: str, stops: str, follows: str) -> bool:
    """Whether a stop that is not wide may end a sentence before the character ``follows``, without white space.

    "?" and "!" do between letters of scripts without capitals, a full stop in Chinese and Japanese where its sides tell.
    """
    last = before[-1:]
    if not last or follows in _PARTICLES:
        return False
    if stops and set(stops) <= {"?", "!"}:
        return _is_caseless(last) and (_is_caseless(follows) or follows in "“「『")
    if stops != "." or _LABEL.search(before):
        return False
    if follows in _STARTING:
        return True
    return _WIDE_LETTER.match(follows) is not None and (
        _ENDING.search(before) is not None or ("ぁ" <= follows <= "ん" and _is_caseless(last))
    )


def _is_caseless(character: str) -> bool:
    """Whether it is a letter without capitals, or a mark on one."""
    return unicodedata.category(character) in ("Lo", "Lm", "Mn", "Mc")
