"""Facts from the future: every planted one is found, no exact trace is flagged; what a word, number or clause betrays."""

import argparse
import random

import pytest

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main
from data_builders.pipeline.exact_checks import early_facts
from data_builders.sources import ledger
from data_builders.traces.future_facts import future_facts

CHUNKS = ("Tom has 5 hens.", " Ann sings.", " He buys 3 more from Bob.")


def facts(*thoughts, chunks=CHUNKS, question="How many hens?"):
    return [(one.chunk, one.fact, one.read_at) for one in future_facts(question, chunks, thoughts)]


def test_a_number_and_a_word_that_are_read_later_are_found():
    assert facts("Tom 5 + 3 = 8", "", "") == [(0, "3", 2)]
    assert facts("Tom has 5, from Bob", "", "") == [(0, "bob", 2)]


def test_what_was_read_or_derived_may_be_said():
    assert facts("5 hens", "", "5 + 3 = 8 from Bob") == []
    assert facts("5 hens", "", "8 hens", chunks=(*CHUNKS[:2], " He buys 3.")) == []
    chunks = ("Tom has 5.", " He buys 3.", " He has 8 cats.")
    assert facts("5", "5 + 3 = 8", "", chunks=chunks) == []


def test_a_result_counts_only_if_its_sum_is_right():
    chunks = ("Tom has 5.", " He buys 2.", " He has 9 cats.")
    assert facts("", "5 + 2 = 9", "", chunks=chunks) == [(1, "9", 2)]


def test_a_number_that_occurs_twice_is_decided_by_what_accounts_for_it():
    chunks = ("Tom has 6 hens.", " Ann finds 3.", " Tom gets 3 hens.")
    assert facts("Tom 6", "Tom 6 + 3 = 9", "", chunks=chunks) == [(1, "3", 2)]
    assert facts("Tom 6", "", "Tom 6 + 3 = 9", chunks=chunks) == []


def test_a_later_chunk_word_for_word_is_found():
    chunks = ("Tom is a zib.", " Every zib is a lop.", " Tom is a lop.", " Every lop sings.")
    assert facts("", "Tom is a lop", "", "", chunks=chunks) == [(1, "Tom is a lop.", 2)]


def test_words_that_recur_around_other_numbers_are_no_fact_from_the_future():
    chunks = ("He plays 20 minutes.", " Ann sings.", " He plays 35 minutes.")
    assert facts("He plays 20 minutes", "", "", chunks=chunks) == []
    assert facts("He plays 35 minutes", "", "", chunks=chunks) == [(0, "35", 2)]


def test_numbers_in_words_fractions_and_percent_are_numbers():
    chunks = ("Tom has 20 hens.", " A quarter of them is brown.", " He sells 15% of them.")
    assert facts("20/4 = 5", "", "", chunks=chunks) == [(0, "4", 1)]
    assert facts("", "20 * 15% = 3", "", chunks=chunks) == [(1, "15", 2)]
    assert facts("", "20/4 = 5", "", chunks=chunks) == []


def plant(thoughts, kind, rng):
    """Write a thought behind an earlier chunk: moved, moved by one chunk, or copied."""
    planted = list(thoughts)
    later = rng.choice([i for i in range(1, len(planted)) if planted[i]])
    earlier = later - 1 if kind == "by one" else rng.randrange(later)
    planted[earlier] = "; ".join(filter(None, (planted[earlier], planted[later])))
    if kind != "copied":
        planted[later] = ""
    return tuple(planted)


def ledger_episodes(*flags):
    parser = argparse.ArgumentParser()
    ledger.add_options(parser)
    given = parser.parse_args(
        ["--train-count", "200", "--test-count", "1", "--unknown", "0", *flags]
    )
    return [e for e in ledger.build(given) if e.source.split == "train"]


def infinite_episodes(tmp_path, *flags):
    out = tmp_path / "out"
    given = ["--count", "200", "--test-share", "0", "--out", str(out), *flags]
    assert main(["gsm_infinite", *given]) == 0
    return list(read_episodes(out / "train.jsonl"))


SHAPED = ("--distractors", ".2", "--repeats", ".2", "--corrections", ".5", "--question", "withheld")


WRONG_FIRST = ("--corrections", ".4", "--wording", "turned")


@pytest.fixture(
    params=["ledger", "lazy ledger", "corrected ledger", "gsm_infinite", "shaped gsm_infinite"]
)
def exact(request, tmp_path):
    """200 episodes whose traces were generated with their texts."""
    return {
        "ledger": lambda: ledger_episodes("--styles", "eager:1"),
        "lazy ledger": ledger_episodes,
        "corrected ledger": lambda: ledger_episodes(*WRONG_FIRST),
        "gsm_infinite": lambda: infinite_episodes(tmp_path),
        "shaped gsm_infinite": lambda: infinite_episodes(tmp_path, *SHAPED),
    }[request.param]()


def check(episode, thoughts):
    return early_facts(episode.source.name, episode.question, episode.chunks, thoughts)


def test_no_exact_trace_is_flagged(exact):
    assert len(exact) == 200
    assert [e.id for e in exact if check(e, e.thoughts)] == []


def test_redundant_thoughts_are_no_facts_from_the_future():
    told = ledger_episodes("--chatter", ".8", "--corrections", ".4")
    assert any("matter" in thought for e in told for thought in e.thoughts)
    assert [e.id for e in told if check(e, e.thoughts)] == []


@pytest.mark.parametrize("kind", ["moved", "by one", "copied"])
def test_every_planted_violation_is_found(exact, kind):
    rng = random.Random(7)
    missed = [e.id for e in exact if not check(e, plant(e.thoughts, kind, rng))]
    assert missed == []
