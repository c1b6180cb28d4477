"""Layered arithmetic told in shuffled sentences, after GSM-Infinite (arXiv 2502.05252); generated here, nothing of it copied.

    python -m data_builders gsm_infinite --count 5000 --layers 4 --width 3 --seed 0 --out data/gsm_infinite

    How many red pens are in Oak Hall?
    The number of red pens in Oak Hall is 3 more than the number of blue caps in Elm Hall. There are 4 blue caps in Elm Hall.

A graph has layers of quantities; those of the first are given, every other is a sum, difference or multiple of quantities
of the layer below. One of the last layer is asked for, so some sentences are beside the matter, though nobody can know
that while reading. The trace is the closure: behind each sentence stand all quantities that can be computed by then and
not before, so a sentence that comes before what it builds on is skipped, and worked out later. Left out: GSM-Infinite's
real-world templates and its reversed questions.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.core.episode import AnswerType, Source
from data_builders.errors import BuildError
from data_builders.rows.inputs import Numbers
from data_builders.rows.row import UNSPLIT, Row
from data_builders.rows.span import Rows
from data_builders.sources.logicnli import joined_units
from data_builders.sources.options import add_telling_options
from data_builders.text.draft import Draft, Told, Trace, Tracer

NAME = "gsm_infinite"
LICENCE = "Apache-2.0"
REVISION = "1"
PLACES = ("Oak", "Elm", "Fir", "Ash", "Yew", "Bay", "Fig", "Lime", "Pine", "Rose")
COLOURS = ("red", "blue", "green", "white", "black", "brown")
THINGS = ("pens", "caps", "cups", "maps", "keys", "bags")
MOST = 500  # no quantity exceeds it
_ATTEMPTS = 200


@dataclass(frozen=True)
class Node:
    """A quantity.

    Attributes:
        name: Such as "red pens in Oak Hall".
        operands: The quantities that it is made of.
        operator: "given", "+", "-", "*" or "sum".
        number: The number in its sentence; 0 for a sum of quantities.
        value: Its value.
    """

    name: str
    operands: tuple[int, ...]
    operator: str
    number: int
    value: int


def add_options(parser: argparse.ArgumentParser) -> None:
    """The size of the graphs."""
    for name, default, what in (
        ("count", 1000, "how many"),
        ("layers", 3, "layers of quantities, the given ones included"),
        ("width", 3, "quantities a layer"),
    ):
        parser.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"{what} (default: {default})"
        )
    add_telling_options(parser)


def open_rows(options: argparse.Namespace) -> Rows:
    """Numbers; each seeds a graph."""
    most = len(PLACES) * len(COLOURS) * len(THINGS) // 2
    for name, lowest, highest in (("count", 1, 10**9), ("layers", 2, 30), ("width", 1, 12)):
        if not lowest <= vars(options)[name] <= highest:
            raise BuildError(
                f"--{name}: got {vars(options)[name]}; expected {lowest} to {highest}."
            )
    if options.layers * options.width > most:
        raise BuildError(
            f"--layers times --width: got {options.layers * options.width}; expected {most} at most."
        )
    return Numbers(NAME, options.count)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft]:
    """One graph."""
    rng = random.Random(f"{options.seed}/{row.number}")
    nodes = draw_graph(rng, options.layers, options.width)
    target = rng.randrange(len(nodes) - options.width, len(nodes))
    order = list(range(len(nodes)))
    rng.shuffle(order)
    key = f"{NAME}-{options.seed}-{row.number}"
    asked, place = nodes[target].name.split(" in ")
    needed = ancestors(nodes, target)
    yield Draft(
        key=key,
        group=key,
        where=row.where,
        question=f"How many {asked} are in {place}?",
        units=joined_units([tell(nodes, node) for node in order]),
        answer=str(nodes[target].value),
        answer_type=AnswerType.NUMBER,
        source=Source(NAME, REVISION, LICENCE, UNSPLIT),
        is_order_free=True,
        needed=lambda: frozenset(unit for unit, node in enumerate(order) if node in needed),
        tracer=closure_tracer(nodes, order, target),
    )


def draw_graph(rng: random.Random, layers: int, width: int) -> list[Node]:
    """Quantities in layers; none is negative or large."""
    names = [f"{c} {t} in {p} Hall" for p in PLACES for c in COLOURS for t in THINGS]
    chosen = rng.sample(names, layers * width)
    nodes: list[Node] = []
    for layer in range(layers):
        below = range(len(nodes) - width, len(nodes)) if layer else range(0)
        nodes += [_draw_node(rng, chosen.pop(), below, nodes) for _ in range(width)]
    return nodes


def _draw_node(rng: random.Random, name: str, below: Sequence[int], nodes: Sequence[Node]) -> Node:
    for _ in range(_ATTEMPTS if below else 0):
        operator = rng.choice(("+", "-", "*", "sum"))
        operands = tuple(rng.sample(list(below), 2 if operator == "sum" and len(below) > 1 else 1))
        if operator == "sum" and len(operands) < 2:
            continue
        number = rng.randint(2, 5) if operator == "*" else rng.randint(2, 20)
        number = 0 if operator == "sum" else number
        value = compute(operator, [nodes[one].value for one in operands], number)
        if 0 < value <= MOST:
            return Node(name, operands, operator, number, value)
    number = rng.randint(2, 20)
    return Node(name, (), "given", number, number)


def compute(operator: str, values: Sequence[int], number: int) -> int:
    """The value of a quantity from those of its operands."""
    if operator == "*":
        return values[0] * number
    if operator == "given":
        return number
    return sum(values) + (-number if operator == "-" else number)


def tell(nodes: Sequence[Node], index: int) -> str:
    """The sentence that gives a quantity."""
    node = nodes[index]
    names = [f"the number of {nodes[one].name}" for one in node.operands]
    told = {
        "given": f"There are {node.number} {node.name}",
        "+": f"The number of {node.name} is {node.number} more than {names[0] if names else ''}",
        "-": f"The number of {node.name} is {node.number} less than {names[0] if names else ''}",
        "*": f"The number of {node.name} is {node.number} times {names[0] if names else ''}",
        "sum": f"The number of {node.name} is the sum of {' and '.join(names)}",
    }
    return f"{told[node.operator]}."


def ancestors(nodes: Sequence[Node], target: int) -> frozenset[int]:
    """All that a quantity is made of, itself included."""
    found, open_ = {target}, [target]
    while open_:
        new = set(nodes[open_.pop()].operands) - found
        found |= new
        open_ += new
    return frozenset(found)


def closure_tracer(nodes: Sequence[Node], order: Sequence[int], target: int) -> Tracer:
    """Behind each chunk, every quantity that has become computable; ``order`` has the node that each unit tells."""

    def trace(told: Told) -> Trace:
        read: list[list[int]] = [[] for _ in told.chunks]
        for unit, chunk in told.fact_chunk.items():
            if unit < len(order):
                read[chunk].append(order[unit])
        known: dict[int, int] = {}
        waiting: set[int] = set()
        thoughts = []
        for place, arrived in enumerate(read):
            waiting |= set(arrived)
            steps = list(_derive(nodes, waiting, known)) if place < told.limit else []
            thoughts.append("; ".join(steps))
        deep = list(_derive(nodes, waiting, known))
        if told.is_missing:
            return Trace(tuple(thoughts), f"The number of {nodes[target].name} does not follow")
        deep.append(f"{nodes[target].name} = {known[target]}")
        return Trace(tuple(thoughts), "; ".join(deep))

    return trace


def _derive(nodes: Sequence[Node], waiting: set[int], known: dict[int, int]) -> Iterator[str]:
    """Move what can be computed from ``waiting`` to ``known``; yield each step."""
    while ready := sorted(one for one in waiting if known.keys() >= set(nodes[one].operands)):
        for one in ready:
            waiting.remove(one)
            known[one] = nodes[one].value
            yield _step(nodes[one], known)


def _step(node: Node, known: Mapping[int, int]) -> str:
    if node.operator == "given":
        return f"{node.name} = {node.value}"
    values = [str(known[one]) for one in node.operands]
    operator = "+" if node.operator == "sum" else node.operator
    numbers = values if node.operator == "sum" else [*values, str(node.number)]
    return f"{node.name} = {f' {operator} '.join(numbers)} = {node.value}"
