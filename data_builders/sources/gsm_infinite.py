"""Layered arithmetic told in shuffled sentences, after GSM-Infinite (arXiv 2502.05252); an implementation of our own.

    adasr data gsm_infinite --count 5000 --layers 4 --width 3 --seed 0 --out data/gsm_infinite

    How many red pens are in Oak Hall?
    The number of red pens in Oak Hall is 3 more than the number of blue caps in Elm Hall. There are 4 blue caps in Elm Hall.

A graph has layers of quantities; those of the first are given, every other is a sum, difference or multiple of quantities
of the layer below. The question asks for one of the last layer, so some sentences are distractors. The trace is the
closure: behind each sentence, all quantities that have just become computable. A sentence before its operands is skipped,
and worked out later. Left out: GSM-Infinite's real-world templates and its reversed questions.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adasr_trl.core.episode import AnswerType, Source
from data_builders.errors import BuildError
from data_builders.rows.inputs import numbers
from data_builders.rows.options import add_number, check_number
from data_builders.rows.row import UNSPLIT, Row, Rows
from data_builders.sources.common import add_stream_options, joined_units
from data_builders.text.draft import Draft, StreamedText, Trace, Tracer

NAME = "gsm_infinite"
SUMMARY = "layered arithmetic told in shuffled sentences, procedural, with exact traces"
LICENCE = "Apache-2.0"
REVISION = "2"
PLACES = ("Oak", "Elm", "Fir", "Ash", "Yew", "Bay", "Fig", "Lime", "Pine", "Rose")
COLOURS = ("red", "blue", "green", "white", "black", "brown")
THINGS = ("pens", "caps", "cups", "maps", "keys", "bags")
MOST_NODES = len(PLACES) * len(COLOURS) * len(THINGS) // 2
LARGEST = 500  # no quantity exceeds it
_ATTEMPTS = 200
_SIZES = (  # name, default, lowest, highest, help
    ("count", 1000, 1, 10**9, "graphs"),
    ("layers", 3, 2, 30, "layers of quantities, the given ones included"),
    ("width", 3, 1, 12, "quantities a layer"),
)
_SENTENCES = {  # by operator
    "given": "There are {number} {name}.",
    "+": "The number of {name} is {number} more than {operands}.",
    "-": "The number of {name} is {number} less than {operands}.",
    "*": "The number of {name} is {number} times {operands}.",
    "sum": "The number of {name} is the sum of {operands}.",
}


@dataclass(frozen=True)
class Node:
    """A quantity."""

    name: str  # such as "red pens in Oak Hall"
    operands: tuple[int, ...]  # indices of the quantities that it is made of
    operator: str  # "given", "+", "-", "*" or "sum"
    number: int  # the number in its sentence; 0 for a sum of quantities
    value: int  # its value


def add_options(parser: argparse.ArgumentParser) -> None:
    """The size of the graphs."""
    for name, default, _, _, what in _SIZES:
        add_number(parser, name, default, what)
    add_stream_options(parser)


def open_rows(options: argparse.Namespace) -> Rows:
    """Numbers; each seeds a graph."""
    for name, _, lowest, highest, _ in _SIZES:
        check_number(options, name, lowest, highest)
    nodes = options.layers * options.width
    if nodes > MOST_NODES:
        raise BuildError(f"--layers times --width: got {nodes}; expected {MOST_NODES} at most.")
    return numbers(NAME, options.count)


def build_row(row: Row, options: argparse.Namespace) -> Iterator[Draft]:
    """One graph."""
    rng = random.Random(f"{options.seed}/{row.number}")
    nodes = draw_graph(rng, options.layers, options.width)
    target = rng.randrange(len(nodes) - options.width, len(nodes))
    order = list(range(len(nodes)))
    rng.shuffle(order)
    key = f"{NAME}-{options.seed}-{row.number}"
    things, place = nodes[target].name.split(" in ")
    ancestors = ancestors_of(nodes, target)
    yield Draft(
        key=key,
        group=key,
        where=row.where,
        question=f"How many {things} are in {place}?",
        units=joined_units([sentence_of(nodes, node) for node in order]),
        answer=str(nodes[target].value),
        answer_type=AnswerType.NUMBER,
        source=Source(NAME, REVISION, LICENCE, UNSPLIT),
        is_order_free=True,
        needed=lambda: frozenset(unit for unit, node in enumerate(order) if node in ancestors),
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
        value = compute(operator, [nodes[operand].value for operand in operands], number)
        if 0 < value <= LARGEST:
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


def sentence_of(nodes: Sequence[Node], index: int) -> str:
    """The sentence that gives a quantity."""
    node = nodes[index]
    operands = " and ".join(f"the number of {nodes[operand].name}" for operand in node.operands)
    form = _SENTENCES[node.operator]
    return form.format(name=node.name, number=node.number, operands=operands)


def ancestors_of(nodes: Sequence[Node], target: int) -> frozenset[int]:
    """All quantities that a quantity is made of, itself included."""
    ancestors, waiting = {target}, [target]
    while waiting:
        new = set(nodes[waiting.pop()].operands) - ancestors
        ancestors |= new
        waiting += new
    return frozenset(ancestors)


def closure_tracer(nodes: Sequence[Node], order: Sequence[int], target: int) -> Tracer:
    """Tracer of all quantities that each chunk makes computable; ``order`` has the node of each unit.

    A number that is corrected later counts until then: what rests on it is worked out twice.
    """

    def trace(text: StreamedText) -> Trace:
        told: list[dict[int, int]] = [{} for _ in text.chunks]  # numbers by quantity
        for unit, (chunk, number) in text.mistold.items():
            told[chunk][order[unit]] = int(number)
        for unit, chunk in text.fact_chunk.items():
            if unit < len(order):  # not the question
                told[chunk][order[unit]] = nodes[order[unit]].number
        values = _Values(nodes)
        thoughts = []
        for chunk, sentences in enumerate(told):
            values.tell(sentences)
            steps = list(values.derive()) if chunk < text.limit else []
            thoughts.append("; ".join(steps))
        deep = list(values.derive())
        if text.is_missing:
            return Trace(tuple(thoughts), f"The number of {nodes[target].name} does not follow")
        deep.append(f"{nodes[target].name} = {values.known[target]}")
        return Trace(tuple(thoughts), "; ".join(deep))

    return trace


class _Values:
    """What follows from the sentences read so far."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.known: dict[int, int] = {}
        self._nodes = nodes
        self._numbers: dict[int, int] = {}  # as told last

    def tell(self, numbers: Mapping[int, int]) -> None:
        """Read sentences; a quantity told anew, and what was derived from it, is no longer known."""
        for index in numbers.keys() & self._numbers.keys():
            self.known = {
                known: value
                for known, value in self.known.items()
                if index not in ancestors_of(self._nodes, known)
            }
        self._numbers.update(numbers)

    def derive(self) -> Iterator[str]:
        """Work out every quantity that follows and is not known; yield each step."""
        while ready := sorted(index for index in self._numbers if self._is_ready(index)):
            for index in ready:
                node, number = self._nodes[index], self._numbers[index]
                operands = [self.known[operand] for operand in node.operands]
                self.known[index] = compute(node.operator, operands, number)
                yield _step(node, operands, number, self.known[index])

    def _is_ready(self, index: int) -> bool:
        return index not in self.known and self.known.keys() >= set(self._nodes[index].operands)


def _step(node: Node, operands: Sequence[int], number: int, value: int) -> str:
    if node.operator == "given":
        return f"{node.name} = {value}"
    operator = "+" if node.operator == "sum" else node.operator
    numbers = operands if node.operator == "sum" else [*operands, number]
    return f"{node.name} = {f' {operator} '.join(map(str, numbers))} = {value}"
