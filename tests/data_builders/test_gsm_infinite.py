"""Traces of layered arithmetic: each thought is all that its sentence makes known, or changes."""

from __future__ import annotations

import re

import pytest

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main
from data_builders.sources.gsm_infinite import Node, closure_tracer
from data_builders.sources.gsm_infinite_check import values_by_chunk
from data_builders.text.draft import StreamedText

PENS, CUPS, MAPS = "red pens in Oak Hall", "red cups in Oak Hall", "red maps in Oak Hall"
NODES = [
    Node(PENS, (), "given", 4, 4),
    Node(CUPS, (0,), "*", 3, 12),
    Node(MAPS, (1,), "-", 5, 7),
]


def told(chunks: int, fact_chunk, mistold, limit=None) -> StreamedText:
    texts = ("",) * chunks
    return StreamedText(
        "How many?", texts, texts, texts, fact_chunk, mistold, limit or chunks, is_missing=False
    )


def trace(text: StreamedText):
    made = closure_tracer(NODES, [0, 1, 2], 2)(text)
    assert made is not None
    return made.thoughts, made.deep


@pytest.mark.parametrize(
    ("fact_chunk", "mistold", "thoughts"),
    [
        pytest.param(
            {0: 3, 1: 1, 2: 2},
            {0: (0, "9")},
            (
                f"{PENS} = 9",
                f"{CUPS} = 9 * 3 = 27",
                f"{MAPS} = 27 - 5 = 22",
                f"{PENS} = 4; {CUPS} = 4 * 3 = 12; {MAPS} = 12 - 5 = 7",
            ),
            id="a given number",
        ),
        pytest.param(
            {0: 0, 1: 3, 2: 2},
            {1: (1, "2")},
            (
                f"{PENS} = 4",
                f"{CUPS} = 4 * 2 = 8",
                f"{MAPS} = 8 - 5 = 3",
                f"{CUPS} = 4 * 3 = 12; {MAPS} = 12 - 5 = 7",  # what lies below it stays
            ),
            id="in the middle",
        ),
    ],
)
def test_a_number_counts_until_it_is_corrected_and_all_that_rests_on_it_is_worked_out_again(
    fact_chunk, mistold, thoughts
):
    assert trace(told(4, fact_chunk, mistold)) == (thoughts, f"{MAPS} = 7")


def test_a_correction_where_no_thought_may_stand_is_worked_out_in_the_deep_part():
    thoughts, deep = trace(told(4, {0: 3, 1: 1, 2: 2}, {0: (0, "9")}, limit=3))
    assert thoughts[3] == ""
    assert deep == f"{PENS} = 4; {CUPS} = 4 * 3 = 12; {MAPS} = 12 - 5 = 7; {MAPS} = 7"


def test_a_correction_in_the_chunk_of_its_error_is_all_that_counts():
    thoughts, _ = trace(told(3, {0: 0, 1: 1, 2: 2}, {0: (0, "9")}))
    assert thoughts == (f"{PENS} = 4", f"{CUPS} = 4 * 3 = 12", f"{MAPS} = 12 - 5 = 7")


@pytest.mark.parametrize("shuffle", ["--shuffle", "--no-shuffle"])
def test_a_thought_depends_on_nothing_but_the_sentences_before_it(tmp_path, shuffle):
    flags = ["--count", "150", "--corrections", "0.8", "--repeats", "0.2", "--distractors", "0.2"]
    assert main(["gsm_infinite", *flags, shuffle, "--out", str(tmp_path / "d")]) == 0
    corrected = 0
    for episode in read_episodes(tmp_path / "d" / "train.jsonl"):
        before: dict[str, int] = {}
        for thought, after in zip(episode.thoughts, values_by_chunk(episode.chunks), strict=True):
            steps = [step.split(" = ") for step in thought.split("; ") if step]
            new = {name: value for name, value in after.items() if before.get(name) != value}
            assert {name: int(rest[-1]) for name, *rest in steps} == new
            before = after
        corrected += any(re.match(r" ?No, ", chunk) for chunk in episode.chunks)
    assert corrected > 50
