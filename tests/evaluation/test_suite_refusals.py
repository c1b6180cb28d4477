"""What ``adasr eval`` refuses before a model is loaded."""

from __future__ import annotations

import dataclasses
import json

import pytest

from adasr_trl.core.episode import read_episodes, write_episodes
from adasr_trl.engines import registry
from support.suites import run, save, spoil


def again(root):
    """The last question of the main set in another one, under another id."""
    asked = list(read_episodes(root / "test.jsonl"))
    write_episodes(root / "copy.jsonl", [dataclasses.replace(asked[-1], id="again")])


def unfinished(root):
    record = json.loads((root / "two" / "run.json").read_text())
    (root / "two" / "run.json").write_text(json.dumps(record | {"complete": False}))


BAD = [
    ({}, unfinished, "two is not a finished run"),
    ({"runs": {"one": "nowhere"}, "run_modes": None}, None, "nowhere is not a finished run"),
    ({"tests": {"far": "nowhere.jsonl"}}, None, "nowhere.jsonl: no such file"),
    ({"tests": {"test": "far.jsonl"}}, None, "which the table gives to data.test"),
    ({"tests": {"all": "far.jsonl"}}, None, "which the table gives to all questions together"),
    ({"name": "all"}, None, "eval.name: got the name 'all', which the table gives to all questions together"),
    ({"tests": {"copy": "copy.jsonl"}}, again, "of test is 'again' of copy, and all together would count it twice"),
    ({"output_dir": "far.jsonl"}, None, "eval.output_dir: far.jsonl is a file; name a folder"),
    ({"output_dir": "far.jsonl/table"}, None, "eval.output_dir: far.jsonl is a file; name a folder"),
    ({"tests": {"a/b": "far.jsonl"}}, None, "the name 'a/b'; expected letters"),
    ({"output_dir": None}, None, "eval.output_dir is missing"),
    ({"run_modes": {"three": ["streaming"]}}, None, "'three', which is no run; eval.runs has one, two"),
    ({"reference": "three"}, None, "eval.reference: got 'three', which is no run"),
    ({"samples": 0}, None, "eval.samples: got 0; expected 1 or more"),
    ({"samples": 2, "temperatures": [0.0]}, None, "with greedy decoding alone"),
    ({"modes": ["no_deeper"]}, None, "expected streaming or read_then_think or forced_skip or no_deep"),
    ({"clocks": {"x": {"burst": 0}}}, None, "burst: got 0; expected 1 or more"),
    ({"clocks": {"x": {"jitter": -1}}}, None, "jitter: got -1; expected 0"),
    ({"clocks": {"x": {"words_per_minute": 0}}}, None, "words_per_minute: got 0; expected above 0"),
    ({"clocks": {"x": {"seconds_per_token": -1}}}, None, "seconds_per_token: got -1"),
    ({"clocks": {"x": {"seconds_per_read": -1}}}, None, "seconds_per_read: got -1"),
    ({"clocks": {"x": {"device": "measured", "seconds_per_token": 1}}}, None, "remove one of them"),
    ({"clocks": {"x": {"device": "measured", "seconds_per_read": 1}}}, None, "remove one of them"),
    ({"clocks": {"x": {"speed": 1}}}, None, "unknown key eval.clocks.x.speed"),
    ({"clocks": {"x": {"arrivals": "recorded"}}}, None, "eval.clocks.x.arrivals: recorded needs"),
    ({"model": {"path": "one"}}, None, "model.path: got 'one' beside eval.runs"),
    (
        {},
        lambda root: spoil(root, "two", words_per_minute=99.0),
        "words_per_minute is not set, and one has 150 in its streaming.json, two 99; set it",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "before", "message"), BAD, ids=[each[2] for each in BAD])
def test_what_cannot_be_evaluated_is_refused_before_a_model_is_loaded(
    root, monkeypatch, capsys, changes, before, message
):
    monkeypatch.setattr(registry, "local_engine", lambda *_: pytest.fail("a model was loaded"))
    monkeypatch.chdir(root)
    save(root, **changes)
    if before:
        before(root)
    assert run(root) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(root.glob("*/eval*"))


def test_the_table_of_another_command_is_not_replaced(root, monkeypatch, capsys):
    monkeypatch.setattr(registry, "local_engine", lambda *_: pytest.fail("a model was loaded"))
    (root / "table").mkdir()
    (root / "table" / "table.json").write_text('{"lines": []}')
    assert run(root) == 2
    assert "table.json is the table of another command" in capsys.readouterr().err
    assert (root / "table" / "table.json").read_text() == '{"lines": []}'


def test_two_names_of_one_thing_are_refused(root, capsys):
    save(root, runs={"a": str(root / "one"), "b": str(root / "two" / ".." / "one")}, run_modes=None)
    assert run(root) == 2
    assert "eval.runs: a and b are both" in capsys.readouterr().err
    save(root, tests={"again": str(root / "test.jsonl")})
    assert run(root) == 2
    assert "eval.tests: test and again are both" in capsys.readouterr().err
