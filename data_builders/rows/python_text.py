"""Lists and objects in the notation of Python and NumPy, as cells of tables spell them.

>>> read_python("['Tom naps.' 'Ann is old.']")
['Tom naps.', 'Ann is old.']
>>> read_python("{'text': array(['Tom'], dtype=object), 'answer_start': array([0])}")
{'text': ['Tom'], 'answer_start': [0]}

NumPy writes no comma between items; Python would read two texts side by side as one. Nothing is run.
"""

from __future__ import annotations

import ast
import io
import tokenize
from itertools import accumulate, pairwise

_WORDS: dict[str, object] = {"nan": None, "null": None, "true": True, "false": False}
_CLOSES, _OPENS = (")", "]", "}"), ("(", "[", "{")
_SPACE = (tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER)


class CutOffError(ValueError):
    """A list that NumPy did not write whole."""


def read_python(text: str) -> object:
    """The list or object that a text spells; a ValueError or SyntaxError for any other text."""
    try:
        source = _with_commas(text)
    except (tokenize.TokenError, IndentationError) as error:
        raise ValueError(str(error)) from None
    return _value(ast.parse(source, mode="eval").body)


def _with_commas(text: str) -> str:
    """The text with a comma between any two items that have none."""
    line_starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    gaps: list[int] = []
    depth, ends_item = 0, False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _SPACE:
            continue
        is_item = token.type in (tokenize.STRING, tokenize.NUMBER, tokenize.NAME)
        begins_item = is_item or token.string in ("[", "{", "...")
        if depth and ends_item and begins_item:
            gaps.append(line_starts[token.start[0] - 1] + token.start[1])
        depth += (token.string in _OPENS) - (token.string in _CLOSES)
        ends_item = is_item or token.string in (*_CLOSES, "...")
    return ",".join(text[start:end] for start, end in pairwise((0, *gaps, len(text))))


def _value(node: ast.expr) -> object:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.List(elts=items) | ast.Set(elts=items) | ast.Tuple(elts=items):
            if any(isinstance(item, ast.Constant) and item.value is ... for item in items):
                raise CutOffError("is a list that was cut off ('...')")
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values):
            return dict(zip(map(_key, keys), map(_value, values), strict=True))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Name(id=name) if name in _WORDS:
            return _WORDS[name]
        case ast.Call(func=ast.Name(id="array"), args=[inner, *_]):
            return _value(inner)
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="np" | "numpy")), args=[inner], keywords=[]
        ):
            return _value(inner)  # np.str_('Tom')
    raise ValueError(f"holds {ast.unparse(node)[:40]!r}")


def _key(node: ast.expr | None) -> str | int:
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
        return node.value
    raise ValueError("has a key that is no text")
