"""Transformations of a text: what each does to the stream, the answer and the trace, and that gold stays right."""

import argparse
import random

import pytest

from adasr_trl.core.episode import AnswerType, Source, read_episodes
from data_builders.__main__ import main
from data_builders.sources.common import add_stream_options
from data_builders.text.distractors import draw_distractor
from data_builders.text.draft import Draft
from data_builders.text.quantities import content_stems
from data_builders.text.shape import shape
from support.building import TOM, episodes, gsm8k, manifest, refused, write_rows

ALL_TRAIN = ("--test-share", "0")


@pytest.fixture
def toms(tmp_path):
    return write_rows(tmp_path / "toms.jsonl", [TOM] * 40)


def built(toms, out, *more):
    assert gsm8k(toms, out, *ALL_TRAIN, *more) == 0
    return list(read_episodes(out / "train.jsonl"))


def draft(*units, key="a", **more):
    source = Source("s", "1", "MIT", "")
    return Draft(key, key, "row 1", "How many?", units, "8", AnswerType.NUMBER, source, **more)


def options(*flags):
    parser = argparse.ArgumentParser()
    add_stream_options(parser)
    return parser.parse_args(flags)


def texts(shaped):
    return [unit.text for unit in shaped.units]


# ---- the question's place


def test_a_withheld_question_comes_alone_behind_everything_else(toms, out):
    episode = built(toms, out, "--question", "withheld")[0]
    assert episode.question == "Read along; the question comes at the end."
    assert episode.chunks[-1] == " Question: How many are left?"
    assert episode.thoughts == ("5 apples", "Tom has 5+3 = 8 apples", "eats 2", "")


def test_a_question_beside_the_text_may_end_it(tmp_path, out):
    shaped = shape(draft("Tom has 5.", " He buys 3."), options("--question", "last"))
    assert texts(shaped) == ["Tom has 5.", " He buys 3.", " How many?"]


def test_no_thought_stands_behind_a_part_of_the_question(toms, out):
    episode = built(toms, out, "--question", "withheld", "--chunk", "word:3")[0]
    asked = next(i for i, text in enumerate(episode.chunks) if "Question" in text)
    assert not any(episode.thoughts[asked:])


# ---- distractors and repeats


def test_distractors_are_skipped_and_change_nothing_else(toms, out):
    plain = built(toms, out)
    for before, after in zip(
        plain, built(toms, out, "--distractors", "0.5", "--refresh"), strict=True
    ):
        kept = [chunk.strip() for chunk in after.chunks if chunk.strip() in before.text]
        assert kept == [chunk.strip() for chunk in before.chunks]
        thoughts = dict(zip(map(str.strip, after.chunks), after.thoughts, strict=True))
        assert [thoughts[chunk] for chunk in kept] == list(before.thoughts)
        assert not any(t for chunk, t in thoughts.items() if chunk not in kept)
        assert after.answer == before.answer
        assert ("distracted" in after.tags) == (len(after.chunks) > len(before.chunks))
    assert manifest(out)["counts"]["distracted"] > 20


def test_a_distractor_shares_no_content_word_with_its_text():
    rng = random.Random(0)
    text = "The radio on the bus was old. A cat asked for directions to the old bridge."
    for _ in range(200):
        assert not set(content_stems(draw_distractor(rng, text))) & set(content_stems(text))


def test_a_repeat_says_an_earlier_sentence_again_and_is_skipped(toms, out):
    found = [e for e in built(toms, out, "--repeats", "0.4") if "repeated" in e.tags]
    assert len(found) > 20
    for episode in found:
        for place, (chunk, thought) in enumerate(
            zip(episode.chunks, episode.thoughts, strict=True)
        ):
            if chunk.startswith(" As was said: "):
                said = chunk.removeprefix(" As was said: ")
                assert said in [earlier.strip() for earlier in episode.chunks[:place]]
                assert thought == ""
        assert episode.answer == "6"


# ---- corrected and missing facts


def test_a_wrong_number_is_corrected_within_a_few_chunks_and_the_trace_revises_it(toms, out):
    found = [e for e in built(toms, out, "--corrections", "1") if "corrected" in e.tags]
    assert len(found) == 40
    for episode in found:
        place = next(i for i, text in enumerate(episode.chunks) if text.startswith(" No, "))
        right, wrong = episode.chunks[place].removeprefix(" No, ").split(":")[0].split(" not ")
        sentence = episode.chunks[place].split(": ")[1]
        told = [text.strip() for text in episode.chunks[:place]]
        assert sentence.replace(right, wrong) in told
        assert right in episode.thoughts[place]
        assert episode.answer == "6"
    assert len({episode.text for episode in found}) > 10


def test_a_calculation_waits_for_the_corrected_number():
    from data_builders.traces.align import aligned

    given = argparse.Namespace(**vars(options("--corrections", "1")), notes=False)
    for guard in ("final_step", "latest_place", "words", "order", "number_words"):
        setattr(given, f"guard_{guard}", True)
    given.max_thought_words, given.max_deep_words = 99, 99
    given.check_future, given.keep_untraced = True, False
    from data_builders.pipeline.assemble import assemble

    one = draft(
        "Tom has 5 hens.",
        " They sleep.",
        " It is late.",
        tracer=aligned("5*5=<<5*5=25>>25\n25-5=<<25-5=20>>20", given),
    )
    episode = next(iter(assemble(one, given)))
    place = next(i for i, text in enumerate(episode.chunks) if text.startswith(" No, 5 not "))
    assert [bool(thought) for thought in episode.thoughts] == [
        i == place for i in range(len(episode.chunks))
    ]


def test_a_text_without_a_needed_fact_is_answered_unknown(toms, out):
    for episode in built(toms, out, "--missing", "1"):
        assert (episode.answer, episode.answer_type) == ("unknown", AnswerType.CHOICE)
        assert len(episode.chunks) == 2
        assert episode.deep == "A number that this needs is not given"
        assert "missing" in episode.tags
        assert not any("8-2" in thought for thought in episode.thoughts)


def test_nothing_is_dropped_where_the_source_cannot_tell_what_is_needed():
    shaped = shape(draft("Tom has 5.", " He buys 3."), options("--missing", "1"))
    assert (texts(shaped), shaped.is_missing) == (["Tom has 5.", " He buys 3."], False)


# ---- order, seeds, the manifest


def test_sentences_are_shuffled_only_where_their_order_does_not_matter():
    units = ("A is b.", " C is d.", " E is f.", " G is h.")
    fixed = shape(draft(*units), options("--shuffle"))
    assert texts(fixed) == list(units)
    free = [
        texts(shape(draft(*units, key=k, is_order_free=True), options("--shuffle"))) for k in "abc"
    ]
    assert len({tuple(told) for told in free}) > 1
    for told in free:
        assert sorted(text.strip() for text in told) == sorted(text.strip() for text in units)
        assert not told[0].startswith(" ")
        assert all(text.startswith(" ") for text in told[1:])


def test_a_seed_fixes_every_transformation_and_an_episode_does_not_depend_on_others(
    toms, out, tmp_path
):
    flags = ("--distractors", "0.3", "--repeats", "0.3", "--corrections", "0.5", "--missing", "0.3")
    whole = built(toms, out, *flags)
    part = write_rows(tmp_path / "few.jsonl", [TOM] * 5)
    few = built(part, tmp_path / "few", *flags)
    assert [e.chunks for e in few] == [e.chunks for e in whole[:5]]
    other = built(toms, tmp_path / "other", *flags, "--shape-seed", "1")
    assert [e.chunks for e in other] != [e.chunks for e in whole]
    assert manifest(out)["options"]["corrections"] == 0.5
    assert set(manifest(out)["counts"]) >= {"distracted", "repeated", "corrected", "missing"}


def test_a_share_is_a_number_from_0_to_1(toms, out, capsys):
    refused(gsm8k(toms, out, "--missing", "2"), capsys, "--missing", "'2'", "from 0 to 1")


def test_shaped_logic_keeps_its_proof_and_no_fact_from_the_future(out):
    flags = ["--count", "100", "--shuffle", "--distractors", "0.2", "--repeats", "0.2"]
    flags += ["--corrections", "0.5", "--missing", "0.2", "--question", "withheld"]
    assert main(["gsm_infinite", *flags, "--out", str(out)]) == 0
    found = manifest(out)
    assert found["rejected_traces"] == {}
    from data_builders.pipeline.exact_checks import early_facts

    unknown = 0
    for episode in episodes(out):
        assert not early_facts("gsm_infinite", episode.question, episode.chunks, episode.thoughts)
        unknown += episode.answer == "unknown"
    assert unknown == found["counts"]["missing"] > 10


def test_the_example_configuration_builds_a_small_set(out):
    from pathlib import Path

    path = Path(__file__).parents[2] / "configs" / "smollm2-135m" / "data-infinite.yaml"
    flags = ["--count", "120", "--test-count", "20", "--out", str(out)]
    assert main(["--config", str(path), *flags]) == 0
    assert set(manifest(out)["counts"]) == {
        "corrected",
        "distracted",
        "missing",
        "repeated",
        "shuffled",
    }
