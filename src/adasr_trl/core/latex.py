r"""LaTeX values compared by meaning, with math-verify.

    >>> same_latex(r"\sqrt{20}", r"2\sqrt{5}")
    True

math-verify's own time limit needs signals, so it is off: only short expressions with small powers are parsed.
"""

from __future__ import annotations

import logging
import math
import re
from functools import lru_cache
from typing import Any

MAX_LATEX = 120  # characters of an expression
_LARGE = re.compile(  # a long number, a factorial, any command but these
    r"[0-9]{13}|\*\*|!|\\(?!(?:[dt]?frac|sqrt|pi|cdot|times|div|pm|left|right|text|infty|cup|cap|in|sin|cos|tan|log|ln"
    r"|circ|leq?|geq?|mathrm)(?![A-Za-z]))[A-Za-z]+|[^\x00-\x7f]|\\sqrt\s*\[[^\]]{3}|(?:[({\[][^(){}\[\]]*){6}"
)
_RELATION = re.compile(r"[<>≤≥≠≈]|\\(?:leq?|geq?|neq?|lt|gt|approx|pm|in)(?![A-Za-z])")
_POWER = re.compile(r"\^\s*(\{(?:[^{}]|\{[^{}]*\})*\}|-?[0-9]+|[A-Za-z])")


_ROOT = re.compile(r"√\s*([0-9]+|[a-z])(?![0-9.])")
_SYMBOLS = {"π": r"\pi ", "²": "^{2}", "³": "^{3}", r"\mathrm{e}": "e"}


def same_latex(gold: str, value: str) -> bool:
    """Whether two expressions parse and mean the same; a bound is never a value."""
    if bool(_RELATION.search(gold)) != bool(_RELATION.search(value)):
        return False
    expected, got = parse_latex(gold), parse_latex(value)
    if not expected or not got:
        return False
    from math_verify import verify

    return bool(verify(list(expected), list(got), timeout_seconds=None))


@lru_cache(maxsize=1024)
def parse_latex(latex: str) -> tuple[Any, ...]:
    """What math-verify makes of a whole expression; () where it fails or could take long."""
    latex = _ROOT.sub(r"\\sqrt{\1}", latex)
    for symbol, written in _SYMBOLS.items():
        latex = latex.replace(symbol, written)
    if not _is_small(latex):
        return ()
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of having no time limit
    from math_verify import LatexExtractionConfig, parse

    # Its other patterns find a number inside of LaTeX that does not parse.
    whole = [LatexExtractionConfig()]
    return tuple(parse(f"${latex}$", whole, fallback_mode="no_fallback", parsing_timeout=None))


def _is_small(latex: str) -> bool:
    """Whether working with an expression ends at once: it is short, and its powers and nesting are small."""
    if len(latex) > MAX_LATEX or _LARGE.search(latex) or latex.count(r"\sqrt") > 3:
        return False
    powers = _POWER.findall(latex)
    is_tower = "^" in "".join(powers) or re.search(rf"(?:{_POWER.pattern})\s*\^", latex)
    if is_tower or len(powers) != latex.count("^"):
        return False
    # What takes long is to expand the power of a sum with symbols or roots, and n log m becoming log m^n.
    parts = [latex] if re.search(r"\\(?:log|ln)", latex) else powers
    sizes = [int(size) for part in parts for size in re.findall(r"[0-9]+", part)]
    has_symbol = (
        re.search(r"[A-Za-z]|\\sqrt", re.sub(r"\\(?!sqrt)[A-Za-z]+", "", latex)) is not None
    )
    return math.prod(max(1, size) for size in sizes) <= (12 if has_symbol else 1000)
