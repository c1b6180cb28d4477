"""``adasr eval`` over runs, sets of questions, modes, samples and clocks, as a user runs it."""

from __future__ import annotations

import json
import math
import shutil
import sys
import types
from collections import Counter

import pytest

from adasr_trl import evaluate
from adasr_trl.artifacts import directory
from adasr_trl.config.eval_section import ClockSection, EvalConfig
from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import read_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.json_numbers import number
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.engines import registry
from adasr_trl.evaluation import records
from adasr_trl.evaluation.records import load_outcomes, load_rollouts
from adasr_trl.evaluation.settings import Setting
from support.json_lines import json_lines
from support.suites import run, save, spoil, table


def tokens(folder, setting):
    return [rollout.token_ids for rollout, _ in load_rollouts(folder, setting)]


def test_a_suite_records_every_rollout_and_its_table_is_recomputed_from_them(root, capsys):
    assert run(root) == 0
    assert f"\n{root / 'table'}\n" in capsys.readouterr().out
    found = table(root)
    assert {row["test"] for row in found["rows"]} == {"test", "far", "all"}
    assert len(found["rows"]) == 3 * (3 + 1) * 2
    for row in found["rows"]:
        files = [f"{row['mode']}-temperature-{row['temperature']:g}.jsonl"]
        if row["temperature"]:
            files.append(files[0].replace(".jsonl", ".sample-1.jsonl"))
        folders = {"test": ["eval"], "far": ["eval-far"], "all": ["eval", "eval-far"]}[row["test"]]
        records, right = [], 0
        for folder in (root / row["run"] / name for name in folders):
            gold = json_lines(folder / "episodes.jsonl")
            for file in files:
                lines = json_lines(folder / file)
                assert [r["episode_id"] for r in lines] == [e["id"] for e in gold]
                records += lines
                right += sum(
                    r["ending"] == "answered" and r["answer"] == e["answer"]
                    for r, e in zip(lines, gold, strict=True)
                )
        count = len(records)
        assert row["questions"] * row["samples"] == count
        assert row["accuracy"]["mean"] == pytest.approx(right / count)
        for name, letter in (("streaming_tokens", "S"), ("deep_tokens", "D")):
            written = sum(record["phases"].count(letter) for record in records)
            assert row[name] == pytest.approx(written / count)
        answered = sum(record["ending"] == "answered" for record in records)
        assert row["answered"] == pytest.approx(answered / count)
        if row["mode"] != "streaming":
            continue
        skips = [r["thought_endings"].count("skip") / len(r["thought_endings"]) for r in records]
        assert row["skip_rate"] == pytest.approx(sum(skips) / count)
    pairs = found["differences"]
    assert (
        len(pairs) == 3 * 2 * 6
    )  # of four lines, at two temperatures, for three sets of questions


def test_one_run_goes_on_as_ever_and_gets_the_table_too(root):
    save(root, runs=None, run_modes=None, tests=None, output_dir=None, samples=1)
    assert run(root, "--model.path", str(root / "one")) == 0
    folder = root / "one" / "eval"
    rows = json.loads((folder / "table.json").read_text())["rows"]
    assert [(row["run"], row["mode"], row["temperature"]) for row in rows[:2]] == [
        ("one", "streaming", 0.0),
        ("one", "streaming", 1.0),
    ]
    outcomes = load_outcomes(folder, Setting(Mode.STREAMING, 0.0))
    by = rows[0]["clocks"]["own"]
    seconds = [outcome.answer_latency_seconds for outcome in outcomes]
    assert by["answer_latency_seconds"]["mean"] == pytest.approx(sum(seconds) / len(seconds))
    assert "| one | no-deep | greedy |" in (folder / "table.md").read_text()


def test_the_first_sample_is_the_only_one_of_before_and_batches_do_not_matter(root, monkeypatch):
    save(root, runs=None, run_modes=None, tests=None, output_dir=None, samples=1)
    assert run(root, "--model.path", str(root / "two"), "--eval.modes", "[streaming]") == 0
    save(root, run_modes={"two": ["streaming"]})
    monkeypatch.setattr(records, "BATCH", 1)
    before = (root / "two" / "eval" / "streaming-temperature-1.jsonl").read_bytes()
    assert run(root, "--resume") == 0
    assert (root / "two" / "eval" / "streaming-temperature-1.jsonl").read_bytes() == before
    first, second = (
        tokens(root / "one" / "eval", Setting(Mode.STREAMING, 1.0, None, sample))
        for sample in (0, 1)
    )
    assert first == tokens(root / "two" / "eval", Setting(Mode.STREAMING, 1.0))
    assert first != second
    assert (
        len({records._seed(0, e, s) for e in read_episodes(root / "test.jsonl") for s in (0, 1)})
        == 8
    )


def test_forced_tokens_are_no_tokens_of_the_model(root):
    assert run(root) == 0
    folder = root / "one" / "eval"
    for rollout, _ in load_rollouts(folder, Setting(Mode.FORCED_SKIP, 1.0)):
        assert rollout.tokens_in(Phase.STREAM) == 0
    streaming = tokens(folder, Setting(Mode.STREAMING, 0.0))
    no_deep = tokens(folder, Setting(Mode.NO_DEEP, 0.0))
    episodes = list(read_episodes(folder / "episodes.jsonl"))
    for (rollout, _), other, whole, episode in zip(
        load_rollouts(folder, Setting(Mode.NO_DEEP, 0.0)), no_deep, streaming, episodes, strict=True
    ):
        deep = rollout.chunk_of_token.index(len(episode.chunks))
        assert other[:deep] == whole[:deep]  # the thoughts are the same ones


def test_baselines_that_read_first_are_modes_of_one_run(root):
    modes = ["read_then_think", "speculative", "prefill_only"]
    clocks = {"even": {"words_per_minute": 60}, "instant": {"words_per_minute": 1e9}}
    save(
        root, runs={"two": str(root / "two")}, run_modes=None, tests=None, modes=modes, clocks=clocks,
        temperatures=[0.0], samples=1,
    )  # fmt: skip
    assert run(root) == 0
    plain, speculative, _ = table(root)["rows"]
    assert speculative["accuracy"] == plain["accuracy"]
    assert speculative["deep_tokens"] == plain["deep_tokens"]
    for clock in clocks:
        before, after = (row["clocks"][clock] for row in (plain, speculative))
        assert after["answer_latency_seconds"] == before["answer_latency_seconds"]
        assert after["first_seconds"] == before["first_seconds"]
    spent = {name: by["discarded_tokens"] for name, by in speculative["clocks"].items()}
    assert spent["even"] > spent["instant"] == 0
    assert speculative["streaming_tokens"] == spent["even"]
    assert "| discarded tokens |" in (root / "table" / "table.md").read_text()


def test_caps_of_thoughts_are_lines_of_the_table(root):
    alone = {"runs": None, "run_modes": None, "tests": None, "output_dir": None, "samples": 1}
    save(root, **alone, modes=["streaming"], thought_caps=[3, 1000])
    assert run(root, "--model.path", str(root / "one"), "--eval.temperatures", "[1.0]") == 0
    folder = root / "one" / "eval"
    rows = json.loads((folder / "table.json").read_text())["rows"]
    assert [(row["mode"], row["thought_cap"]) for row in rows[:2]] == [
        ("streaming", 3),
        ("streaming", 1000),
    ]
    longest = []
    for cap in (3, 1000):
        setting = Setting(Mode.STREAMING, 1.0, thought_cap=cap)
        rollouts = [rollout for rollout, _ in load_rollouts(folder, setting)]
        thoughts = [
            Counter(
                chunk
                for phase, chunk in zip(r.phases, r.chunk_of_token, strict=True)
                if phase is Phase.STREAM
            )
            for r in rollouts
        ]
        longest.append(max(max(t.values()) for t in thoughts if t))
    assert longest[0] == 3 < longest[1]


def test_an_interrupted_suite_goes_on_where_it_stopped(root, monkeypatch, capsys):
    monkeypatch.setattr(records, "BATCH", 2)
    monkeypatch.setattr(records, "time", types.SimpleNamespace(monotonic=lambda: 0.0))
    plain, written = records.to_record, []

    def stop_at_the_tenth(rollout):
        written.append(rollout)
        if len(written) == 30:
            raise KeyboardInterrupt
        return plain(rollout)

    with monkeypatch.context() as patch:
        patch.setattr(records, "to_record", stop_at_the_tenth)
        assert run(root) == 130
    assert "--resume" in capsys.readouterr().err
    assert not (root / "table").exists()
    written.clear()
    monkeypatch.setattr(records, "to_record", lambda r: written.append(r) or plain(r))
    assert run(root, "--resume") == 0
    # 7 questions; one has 3 modes with 3 rollouts each, two has 1: 84. What was written before the last write stays.
    assert 84 - 29 <= len(written) <= 84 - 29 + 3
    shutil.rmtree(root / "table")
    written.clear()
    assert run(root, "--resume") == 0
    assert not written


def test_another_clock_rolls_nothing_out_again(root, monkeypatch):
    assert run(root) == 0
    own = {key(row): row for row in table(root)["rows"]}
    monkeypatch.setattr(registry, "local_engine", lambda *_: pytest.fail("a model was loaded"))
    clocks = {
        "own": {},
        "fast": {"words_per_minute": 1500, "arrivals": "words"},
        "late": {"jitter": 0.5, "burst": 3},
        "free": {"seconds_per_token": 0.0, "prefill_seconds_per_token": 0.0},
        "fixed": {
            "seconds_per_token": 0.0,
            "prefill_seconds_per_token": 0.0,
            "seconds_per_read": 0.25,
            "words_per_minute": 1,
        },
    }
    save(root, clocks=clocks)
    assert run(root, "--resume") == 0
    for row in table(root)["rows"]:
        assert row["clocks"]["own"] == own[key(row)]["clocks"]["own"]
        assert row["clocks"]["free"]["end_seconds"]["mean"] == pytest.approx(0.0)
        if row["mode"] != "read_then_think":  # the last chunk's read, and the transition's
            assert row["clocks"]["fixed"]["end_seconds"]["mean"] == pytest.approx(0.5)
        backlog = {name: by["backlog_seconds"] for name, by in row["clocks"].items()}
        assert backlog["fast"] >= backlog["own"] - 1e-9
        assert backlog["late"] >= 0


def key(row):
    return row["test"], row["run"], row["mode"], row["temperature"]


def test_a_finished_suite_is_not_repeated(root, monkeypatch, capsys):
    assert run(root) == 0
    monkeypatch.setattr("adasr_trl.evaluation.run.find", lambda _suite: pytest.fail("was repeated"))
    capsys.readouterr()
    assert run(root, "--resume") == 0
    assert capsys.readouterr().out == f"{root / 'table'}\n"


def test_the_table_is_made_anew_where_records_or_the_clock_were_changed(root, capsys):
    save(root, tests=None)
    assert run(root) == 0
    file = root / "one" / "eval" / "streaming-temperature-0.jsonl"
    lines = [line | {"answer": "999"} for line in json_lines(file)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    capsys.readouterr()
    assert run(root, "--resume") == 0
    assert "| one | streaming | greedy | 0.000" in capsys.readouterr().out
    for name in ("one", "two"):
        spoil(root, name, words_per_minute=99.0)
    assert run(root, "--resume") == 0
    assert "99 words a minute" in capsys.readouterr().out


def test_a_table_of_instant_input_is_json(root):
    save(root, clocks={"instant": {"words_per_minute": math.inf}}, tests=None, run_modes=None)
    assert run(root) == 0
    text = (root / "table" / "table.json").read_text(encoding="utf-8")
    found = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert number(found["clocks"]["one"]["instant"]["words_per_minute"]) == math.inf


def test_from_python_the_figures_are_those_of_the_table(root, capsys):
    config = EvalConfig(
        tests={"far": str(root / "far.jsonl")},
        clocks={"own": ClockSection(), "fast": ClockSection(words_per_minute=1500)},
        temperatures=(1.0,), samples=2, resamples=20, output_dir=str(root / "table"),
    )  # fmt: skip
    figures = evaluate(root / "one", root / "test.jsonl", config)
    name = "streaming-temperature-1"
    assert list(figures) == [name, f"far/{name}", f"all/{name}"]
    assert [figure.questions for figure in figures.values()] == [4, 3, 7]
    for figure, row in zip(figures.values(), table(root)["rows"], strict=True):
        assert {str(k): share for k, share in figure.pass_at.items()} == row["pass_at"]
        for clock in ("own", "fast"):
            seconds = figure.clocks[clock].backlog_seconds
            assert seconds == row["clocks"][clock]["backlog_seconds"]
    assert "By the clock `fast`:" in capsys.readouterr().out
    assert evaluate(root / "one", root / "test.jsonl", config) == figures
    with pytest.raises(UserError, match=r"eval\.runs: has no effect in evaluate"):
        evaluate(root / "one", [], EvalConfig(runs={"one": "one"}, output_dir="table"))


def test_measured_rates_are_those_of_each_runs_model(root, monkeypatch):
    asked = []

    def load_or_measure(path):
        asked.append(path.name)
        return 0.5 if path.name == "one" else 0.25

    standin = types.ModuleType("adasr_trl.live.device_rates")
    standin.load_or_measure = load_or_measure
    standin.clock_of = lambda profile, clock: Clock(clock.words_per_minute, profile, 0.0)
    monkeypatch.setitem(sys.modules, "adasr_trl.live.device_rates", standin)
    save(root, clocks={"here": {"device": "measured", "words_per_minute": 90}}, tests=None)
    assert run(root) == 0
    assert asked == ["one", "two"]
    found = table(root)
    rates = {run: clocks["here"]["seconds_per_token"] for run, clocks in found["clocks"].items()}
    assert rates == {"one": 0.5, "two": 0.25}
    assert "two as measured: 250 ms a written token" in (root / "table" / "table.md").read_text()
    row = next(row for row in found["rows"] if row["mode"] == "read_then_think")
    assert row["clocks"]["here"]["end_seconds"]["mean"] == pytest.approx(0.25 * row["deep_tokens"])


def test_records_that_are_there_are_never_overwritten_unasked(root, capsys):
    save(root, tests=None)
    assert run(root) == 0
    assert run(root) == 2
    assert "holds this run; --resume" in capsys.readouterr().err
    assert run(root, "--resume", "--eval.seed", "1") == 2
    assert "eval.seed differs" in capsys.readouterr().err
    assert directory.is_complete(root / "one" / "eval")


@pytest.mark.parametrize("spoilt", ['{"episode_id": "x"}\n', "{\n", ""])
def test_a_record_that_was_spoilt_is_named(root, capsys, spoilt):
    save(root, runs={"one": str(root / "one")}, run_modes=None, tests=None, modes=["no_deep"])
    assert run(root) == 0
    file = root / "one" / "eval" / "no_deep-temperature-0.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:-1], spoilt]))
    shutil.rmtree(root / "table")
    assert run(root, "--resume") == 2
    assert f"{file}:4: not a record (" in capsys.readouterr().err
    file.unlink()
    assert run(root, "--resume") == 0
