"""Spoken episodes, with a studio that has no models: what is heard, when, which traces stay, what a cache saves."""

import json
import multiprocessing
import os
import wave
from dataclasses import replace

import pytest

from adasr_trl.core.episode import AnswerType, Episode, Source, read_episodes, write_episodes
from data_builders.__main__ import main
from data_builders.errors import BuildError
from data_builders.pipeline.quality import Bounds
from data_builders.text.draft import Trace
from data_builders.tools.heard import compare, trace_of
from data_builders.tools.spoken import Speaking, Utterance, draw
from support.building import manifest, refused
from support.spoken import SpelledStudio
from support.spoken import run_speak as run

TOM = Episode(
    "tom", "tom", "How many apples has Tom?", ("Tom has 5 apples.", " Mia buys a bus.", " Tom eats 2."), "3",
    AnswerType.NUMBER, Source("boats", "1", "MIT", "train"), None, ("Tom 5", "", "5 - 2 = 3"), "",
)  # fmt: skip


@pytest.fixture(autouse=True)
def studio(monkeypatch):
    monkeypatch.setattr(SpelledStudio, "misheard", {})
    monkeypatch.setattr(SpelledStudio, "spoken", [])
    monkeypatch.setattr(SpelledStudio, "prompts", [])
    return SpelledStudio


@pytest.fixture
def typed(tmp_path):
    def write(*episodes, name="train.jsonl"):
        write_episodes(tmp_path / "typed" / name, episodes)
        return tmp_path / "typed"

    return write


def only(out, name="train.jsonl"):
    (episode,) = read_episodes(out / name)
    return episode


def test_an_episode_is_heard_sentence_by_sentence_with_its_times_and_trace(typed, out) -> None:
    run(typed(TOM), out, "--sentence-pause", "1")
    episode = only(out)
    assert replace(episode, arrival_seconds=None, tags=()) == TOM
    assert episode.tags == ("spoken",)
    # 4 words of 0.2 s behind 0.3 s of silence, known after a pause of 0.5 s
    assert episode.arrival_seconds[0] == pytest.approx(0.3 + 0.8 + 0.5, abs=0.07)
    speech = manifest(out)["speech"]
    assert speech["word_error_rate"] == 0.0
    assert speech["lookahead_seconds"]["median"] == pytest.approx(0.5, abs=0.07)
    assert speech["voices"] == {"spelled x1": {"licence": "CC0", "words": 11, "word_error_rate": 0}}
    assert speech["traces"] == {"on equal words": 1}


def test_the_recogniser_knows_the_question_unless_it_is_not_told(
    typed, out, tmp_path, studio
) -> None:
    run(typed(TOM), out)
    assert studio.prompts[0].startswith(TOM.question)
    assert manifest(out)["speech"]["knows_question"] is True
    studio.prompts.clear()
    run(typed(TOM), tmp_path / "untold", "--without-question", "--cache", str(out / "heard"))
    assert studio.prompts  # another text in the cache
    assert not any(TOM.question in prompt for prompt in studio.prompts)
    assert manifest(tmp_path / "untold")["speech"]["knows_question"] is False


def test_a_lag_moves_every_arrival(typed, out, tmp_path) -> None:
    run(typed(TOM), out)
    run(typed(TOM), tmp_path / "late", "--lag", "0.25", "--cache", str(out / "heard"))
    pairs = zip(only(out).arrival_seconds, only(tmp_path / "late").arrival_seconds, strict=True)
    assert all(late == pytest.approx(early + 0.25) for early, late in pairs)
    assert manifest(tmp_path / "late")["speech"]["lag_seconds"] == 0.25


def test_misheard_words_that_no_thought_needs_keep_the_trace(typed, out, studio) -> None:
    studio.misheard = {"Mia": "Maya", "bus.": "bust."}
    run(typed(TOM), out)
    episode = only(out)
    assert episode.chunks[1] == " Maya buys a bust."
    assert episode.thoughts == TOM.thoughts
    assert episode.tags == ("spoken", "misheard")
    assert manifest(out)["speech"]["word_error_rate"] == round(2 / 11, 4)


def test_a_misheard_number_drops_the_trace_and_a_train_episode(typed, out, studio) -> None:
    studio.misheard = {"5": "nine"}
    fine = replace(TOM, id="fine", chunks=("Tom has 7 apples.", " Mia buys a bus.", " Tom eats 2."))
    fine = replace(fine, thoughts=("Tom 7", "", "7 - 2 = 5"), answer="5")
    directory = typed(TOM, fine)
    typed(replace(TOM, id="t", source=Source("boats", "1", "MIT", "test")), name="test.jsonl")
    run(directory, out)
    assert only(out).id == "fine"
    kept = only(out, "test.jsonl")  # a test is for errors of recognition
    assert (kept.chunks[0], kept.thoughts) == ("Tom has nine apples.", None)
    built = manifest(out)
    assert built["rejected_traces"] == {"number_misheard": 2}
    assert built["rejected"]["by_reason"] == {"number_misheard": 1}
    (line, _) = (out / "rejected_traces.jsonl").read_text().splitlines()
    assert json.loads(line)["detail"] == "chunk 1: heard '9' for '5'"


def test_train_episodes_without_a_trace_are_kept_on_request(typed, out, studio) -> None:
    studio.misheard = {"5": "nine"}
    run(typed(TOM), out, "--keep-untraced")
    assert only(out).thoughts is None


def test_a_trace_names_misheard_words_on_request_but_never_numbers(typed, out, studio) -> None:
    studio.misheard = {"Mia": "Maya", "7": "nine"}
    names = replace(TOM, thoughts=("Tom 5", "Mia: bus", "5 - 2 = 3"))
    lost = replace(names, id="lost", chunks=("Tom has 7 apples.", *names.chunks[1:]))
    run(typed(names, lost), out, "--keep-misheard-words")
    episode = only(out)
    assert (episode.chunks[1], episode.thoughts) == (" Maya buys a bus.", names.thoughts)
    assert manifest(out)["speech"]["traces"] == {"dropped": 1, "naming misheard words": 1}
    assert manifest(out)["rejected_traces"] == {"number_misheard": 1}


def test_sentences_that_are_heard_as_one_share_their_thoughts(typed, out, studio) -> None:
    studio.misheard = {"apples.": "apples", "bus.": "bus"}
    run(typed(TOM), out, "--sentence-pause", "0")
    episode = only(out)
    assert episode.chunks == ("Tom has 5 apples Mia buys a bus Tom eats 2.",)
    assert episode.thoughts == ("Tom 5; 5 - 2 = 3",)


def test_what_was_heard_is_never_spoken_again(typed, out, studio, tmp_path) -> None:
    directory = typed(TOM)
    first = run(directory, out)
    written = (out / "train.jsonl").read_bytes()
    studio.spoken.clear()
    second = run(directory, out)
    assert (first.cached, second.cached, studio.spoken) == (0, 1, [])
    assert (out / "train.jsonl").read_bytes() == written
    for path in (out / "heard").rglob("*.json"):  # a damaged file counts as none
        path.write_text("{")
    assert run(directory, out).cached == 0
    assert run(directory, out, "--pause", "0.4").cached == 0


def test_sound_is_kept_on_request_only(typed, out) -> None:
    name = replace(TOM, id="../a b/\u00e9")
    run(typed(name), out)
    assert not (out / "sound").exists()
    run(typed(name), out, "--keep-sound")
    (path,) = (out / "sound").iterdir()
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.getnframes() > 16_000
    assert path.name.startswith("_a_b__-")


def test_bad_rows_never_end_a_build_and_are_counted(typed, out, studio) -> None:
    directory = typed(
        TOM,
        replace(TOM, id="mute", chunks=("unspeakable.",), thoughts=None, deep=None),
        replace(TOM, id="marks", chunks=("-- ?!",), thoughts=None, deep=None),
        replace(TOM, id="quiet", chunks=("hush.",), thoughts=None, deep=None),
    )
    studio.misheard = {"hush.": ""}
    with (directory / "train.jsonl").open("a") as lines:
        lines.write('{"schema": 1}\n')
    run(directory, out)
    reasons = manifest(out)["rejected"]
    assert reasons["by_reason"] == {
        "nothing_heard": 1,
        "nothing_to_say": 1,
        "unreadable": 1,
        "voice_failed": 1,
    }
    assert "the voice has no sound for it" in str(reasons["rows"])


def test_voices_speeds_and_pauses_follow_the_seed_and_the_id(tmp_path) -> None:
    speaking = Speaking("m", tmp_path, voices=("a.onnx", "b.onnx"))
    drawn = [draw(speaking, Utterance(str(n), ("a", "b"))) for n in range(40)]
    assert drawn == [draw(speaking, Utterance(str(n), ("a", "b"))) for n in range(40)]
    assert {one.voice for one in drawn} == {"a.onnx", "b.onnx"}
    assert {one.speed for one in drawn} == {0.85, 0.9, 0.95, 1.0, 1.05}
    assert all(0.49 <= pause <= 0.91 for one in drawn for pause in one.pauses)
    other = Speaking("m", tmp_path, voices=("a.onnx", "b.onnx"), seed=1)
    assert drawn != [draw(other, Utterance(str(n), ("a", "b"))) for n in range(40)]


@pytest.mark.parametrize(
    ("typed_text", "heard_text"),
    [
        ("He paid $1,200.50.", "He paid 1200 dollars and 50 cents"),
        ("Twenty-three hens", "23 hens."),
        ("Mr. Lee can't pay 50%.", "mister Lee cannot pay fifty percent"),
        ("It costs $5 (five).", "It costs five dollars, five."),
        ("He has 3, 4 and 5.5; 6 (six).", "He has three, four and 5.5, six, 6."),
        ("Caf\u00e9 R\u00e9n\u00e9", "cafe rene"),
        ("Tom\u2019s dog didn\u2019t bark.", "Tom's dog did not bark"),
        ("It is -5\u00b0F.", "It is minus five degrees Fahrenheit."),
        ("1 1/2 cups, 2\u00bd cups", "One and a half cups, 2.5 cups"),
        ("20 % of .5", "Twenty percent of zero point five."),
        ("At 5 p.m. or 6:00", "at 5 PM or six o'clock"),
        ("3 + 4 = 7", "Three plus four equals seven"),
        ("5-10 days", "five to ten days"),
        ("O'Brien pays \u00a35.", "OBrien pays five pounds"),
    ],
)
def test_numbers_in_words_and_digits_and_other_spellings_are_equal(typed_text, heard_text) -> None:
    assert compare((typed_text,), (heard_text,)).errors == 0


@pytest.mark.parametrize(
    ("typed_text", "heard_text"),
    [
        ("It is -5 degrees.", "It is 5 degrees."),
        ("He reads pages 1,5 and 7.", "He reads pages 15 and 7."),
        ("20 % of it", "20 of it"),
        ("He bought 2 12-inch pizzas.", "He bought 212-inch pizzas."),
        ("2\u00bd cups", "2 cups"),
    ],
)
def test_numbers_that_differ_are_never_equal(typed_text, heard_text) -> None:
    assert compare((typed_text,), (heard_text,)).errors > 0


def test_words_are_counted_and_chunks_matched_by_hand() -> None:
    compared = compare(
        ("Tom has five hens.", " He buys 3.", " Mia sells 4."),
        ("Tom has 5 hens. He buys three.", " Maya sells 40."),
    )
    assert (compared.words, compared.errors, compared.completed_by) == (10, 2, (0, 0, 1))
    assert (compared.lost[2], compared.added[2]) == (("mia", "4"), ("maya", "40"))


def test_a_trace_that_names_what_was_not_heard_is_dropped() -> None:
    names = replace(TOM, thoughts=("Tom 5", "Mia: bus", "5 - 2 = 3"))
    heard = ("Tom has five apples.", " Maya buys a bus.", " Tom eats two.")
    fault = trace_of(names, heard, compare(names.chunks, heard), Bounds())
    assert fault == ("word_misheard", "chunk 2: 'mia' of the trace was not heard")
    asked = replace(names, question="How many apples have Tom and Mia?")
    assert isinstance(trace_of(asked, heard, compare(names.chunks, heard), Bounds()), Trace)


def test_a_lost_word_without_meaning_of_its_own_drops_no_trace() -> None:
    the_bus = replace(TOM, chunks=(TOM.chunks[0], " Mia buys the bus.", TOM.chunks[2]))
    the_bus = replace(the_bus, thoughts=("Tom 5", "the bus", "5 - 2 = 3"))
    compared = compare(the_bus.chunks, TOM.chunks)
    assert compared.lost[1] == ("the",)
    assert isinstance(trace_of(the_bus, TOM.chunks, compared, Bounds()), Trace)


def test_a_lost_not_drops_the_trace() -> None:
    heard = ("Tom has 5 apples.", " Mia buys a bus.", " Tom does eat 2.")
    not_eaten = replace(TOM, chunks=(*TOM.chunks[:2], " Tom does not eat 2."))
    fault = trace_of(not_eaten, heard, compare(not_eaten.chunks, heard), Bounds())
    assert fault == ("number_misheard", "chunk 3: heard nothing for 'not'")


def test_wrong_options_are_refused_in_one_line(typed, out, capsys) -> None:
    directory = typed(TOM)
    with pytest.raises(BuildError, match=r"holds another build"):
        run(directory, directory)
    status = main(["speak", str(directory), "--out", str(out), "--slowest", "0.1"])
    refused(status, capsys, "--slowest: got 0.1; expected 0.5 to 2.")
    status = main(["speak", str(directory), "--out", str(out), "--pause", "20"])
    refused(status, capsys, "pause_seconds is 20.0; expected 0.1 to 10.0 seconds")
    status = main(["speak", str(out / "none"), "--out", str(out)])
    refused(status, capsys, "holds no train.jsonl or test.jsonl")
    voice = ["--voice", str(out / "missing.onnx")]
    status = main(["speak", str(directory), "--out", str(out), *voice])
    refused(status, capsys, "missing.onnx: no such file; expected a Piper voice")


def test_a_missing_recogniser_is_one_line_that_says_what_to_give(
    typed, out, capsys, tmp_path, monkeypatch
) -> None:
    pytest.importorskip("faster_whisper")
    program = tmp_path / "bin" / "espeak-ng"  # any machine: a voice is not what is missing
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    (out / "model").mkdir(parents=True)
    model = ["--recogniser", str(out / "model")]
    status = main(["speak", str(typed(TOM)), "--out", str(out / "spoken"), *model])
    refused(status, capsys, "is no folder with a model.bin; expected a faster-whisper model")


@pytest.mark.slow
def test_several_workers_hear_the_same_as_one_and_leave_no_process(typed, out, tmp_path) -> None:
    directory = typed(*[replace(TOM, id=f"tom-{n}") for n in range(5)])
    run(directory, out)
    run(directory, tmp_path / "two", "--workers", "2")
    assert (out / "train.jsonl").read_bytes() == (tmp_path / "two/train.jsonl").read_bytes()
    assert multiprocessing.active_children() == []
