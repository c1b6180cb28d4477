"""Evaluates the small expressions of templates without Python's own evaluator: text of a data set is never run.

    >>> evaluate("x * 2 if x > 3 else 0", {"x": 5})
    10
    >>> evaluate("sample(['red', 'blue'])", {}, random.Random(0))
    'blue'

Numbers, texts, lists, names, arithmetic, comparisons, conditions, indices, and the functions below. Attributes are
refused, and no number or list can become large.
"""

from __future__ import annotations

import ast
import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

LARGEST = 10**15
LONGEST = 100_000
MOST_EXPONENT = 8

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}


class ExpressionError(ValueError):
    """An expression that cannot be evaluated; the message holds it."""


def evaluate(text: str, names: Mapping[str, Any], rng: random.Random | None = None) -> Any:
    """The value of an expression.

    Args:
        text: The expression.
        names: Values of its variables.
        rng: For ``sample`` and its kind; without one they are unknown.

    Raises:
        ExpressionError: An expression outside of the language, or one without a value.
    """
    functions = _FUNCTIONS if rng is None else _FUNCTIONS | _sampling(rng)
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _Evaluator(names, functions).value(tree.body)
    except (
        SyntaxError,
        TypeError,
        ArithmeticError,
        LookupError,
        ValueError,
        RecursionError,
    ) as error:
        reason = str(error) or type(error).__name__
        raise ExpressionError(f"cannot evaluate {text.strip()[:80]!r}: {reason}") from None


@dataclass(frozen=True)
class _Evaluator:
    """Walks one expression."""

    names: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]]

    def value(self, node: ast.expr) -> Any:
        return _bounded(self._operand(node))

    def _operand(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=None | str() | int() | float() as value):
                return value
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.Name(id=name):
                raise LookupError(f"unknown name {name!r}")
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.value(item) for item in items]
            case ast.Subscript(value=items, slice=index):
                return self.value(items)[self.value(index)]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if (
                name in self.functions
            ):
                return self.functions[name](*map(self.value, arguments))
            case ast.Call():
                raise ValueError(f"unknown function {ast.unparse(node.func)!r}")
        return self._operation(node)

    def _operation(self, node: ast.expr) -> Any:
        match node:
            case ast.UnaryOp():
                return _OPERATORS[type(node.op)](self.value(node.operand))
            case ast.BinOp():
                return _binary(node.op, self.value(node.left), self.value(node.right))
            case ast.BoolOp():
                combine = all if isinstance(node.op, ast.And) else any  # both stop early
                return combine(map(self.value, node.values))
            case ast.Compare():
                values = [self.value(operand) for operand in (node.left, *node.comparators)]
                pairs = zip(node.ops, values, values[1:], strict=False)
                return all(_OPERATORS[type(op)](left, right) for op, left, right in pairs)
            case ast.IfExp():
                return self.value(node.body if self.value(node.test) else node.orelse)
        raise ValueError(f"{type(node).__name__} is not allowed")


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    if isinstance(op, ast.Pow) and abs(right) > MOST_EXPONENT:
        raise ValueError("the exponent is too large")
    # "%" formats a text, and "*" repeats a list: both could become large.
    if isinstance(op, ast.Mult | ast.Mod) and not (_is_number(left) and _is_number(right)):
        raise ValueError("only numbers are multiplied")
    return _OPERATORS[type(op)](left, right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Fraction)


def _bounded(value: Any) -> Any:
    if _is_number(value) and not -LARGEST <= value <= LARGEST:
        raise ValueError("a number is too large")
    if isinstance(value, str | list) and len(value) > LONGEST:
        raise ValueError("a list or text is too long")
    return value


def _range(first: Any, *rest: Any) -> list[Any]:
    start, stop = (first, rest[0]) if rest else (0, first)
    numbers = range(int(start), int(stop), int(rest[1]) if len(rest) > 1 else 1)
    if len(numbers) > LONGEST:
        raise ValueError("a range is too long")
    return list(numbers)


def _arange(start: float, stop: float, step: float = 1.0) -> list[float]:
    count = int(max(0, (stop - start) / step))
    if count > LONGEST:
        raise ValueError("a range is too long")
    return [round(start + i * step, 6) for i in range(count)]


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "range": _range,
    "arange": _arange,
    "is_int": lambda value: abs(value - round(value)) < 1e-9,
    "divides": lambda number, by: number % by == 0,
    "int": int,
    "float": float,
    "round": round,
    "str": str,
    "len": len,
    "abs": abs,
    "min": min,
    "max": max,
    "sum": sum,
    "list": list,
    "Fraction": Fraction,
}


def _sampling(rng: random.Random) -> dict[str, Callable[..., Any]]:
    """The functions that draw."""

    def sample(items: list[Any], count: int | None = None) -> Any:
        return rng.choice(items) if count is None else rng.sample(items, count)

    def sample_sequential(items: list[Any], count: int) -> list[Any]:
        start = rng.randrange(len(items) - count + 1)
        return items[start : start + count]

    return {
        "sample": sample,
        "sample_sequential": sample_sequential,
        "range_sample": lambda *bounds: rng.choice(_range(*bounds)),
        "arange_sample": lambda *bounds: rng.choice(_arange(*bounds)),
        "range_str": lambda *bounds: str(rng.choice(_range(*bounds))),
    }
