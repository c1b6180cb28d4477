"""Small files of a run that were cut short or damaged: one line that names the file and what to do."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from adasr_trl.artifacts import checkpoints, directory
from adasr_trl.artifacts.directory import Existing, State
from adasr_trl.artifacts.provenance import load_provenance
from adasr_trl.artifacts.saved_config import (
    load_origin,
    load_streaming,
    load_taught_mode,
    load_trained_dtype,
    recorded_dtype,
    recorded_streaming,
)
from adasr_trl.artifacts.step_log import StepLines
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode

BROKEN = pytest.mark.parametrize(
    "content", [b"", b'{"identity": {', '{"a": 1}'.encode("utf-16"), b"[]", b"{\xff}", b"null"]
)
IDENTITY = {"command": "sft"}
READERS = [
    ("run.json", directory.is_complete),
    ("run.json", directory.read_identity),
    ("run.json", directory.is_loadable),
    ("run.json", recorded_dtype),
    ("run.json", recorded_streaming),
    ("whole.json", checkpoints.is_whole),
    ("streaming.json", load_streaming),
    ("origin.json", load_origin),
    ("config.json", load_trained_dtype),
    ("config.yaml", load_taught_mode),
    ("provenance.json", load_provenance),
]


def refusal(read, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@BROKEN
@pytest.mark.parametrize(("name", "read"), READERS)
def test_an_error_of_a_damaged_file_begins_with_its_name(tmp_path, name, read, content):
    (tmp_path / name).write_bytes(content)
    assert re.match(rf"{re.escape(str(tmp_path / name))}:(\d+:)? ", refusal(read, tmp_path))


@pytest.mark.parametrize("record", [{}, {"identity": {}}, {"identity": 1, "complete": True}])
def test_a_record_of_a_run_without_its_parts_is_none(tmp_path, record):
    (tmp_path / "run.json").write_text(json.dumps(record))
    said = refusal(directory.is_complete, tmp_path)
    assert "no record of a run (identity or complete is missing); restore it, or move" in said


@pytest.mark.parametrize("complete", ["no", "false", 0, 1, None])
def test_only_true_and_false_say_whether_a_run_is_complete(tmp_path, complete):
    record = {"identity": IDENTITY, "complete": complete}
    (tmp_path / "run.json").write_text(json.dumps(record))
    said = refusal(directory.is_complete, tmp_path)
    assert f"run.json: complete: got {complete!r}; expected true or false; restore it" in said


@pytest.mark.parametrize("config", [None, [], {}, {"model": None}, {"model": {"dtype": "int3"}}])
def test_a_record_without_a_precision_has_none(tmp_path, config):
    directory.write_record(tmp_path, {"command": "sft", "config": config})
    assert recorded_dtype(tmp_path) is None


@pytest.mark.parametrize(
    ("streaming", "reason"),
    [
        (None, "streaming: got nothing"),
        ({"clock": {"pace": 3}}, "unknown key streaming.clock.pace"),
        ({"markers": ["<EOS>"]}, "streaming.markers: got a list"),
    ],
)
def test_a_protocol_that_no_run_records_is_named(tmp_path, streaming, reason):
    directory.write_record(tmp_path, {"command": "hrpo", "config": {"streaming": streaming}})
    said = refusal(recorded_streaming, tmp_path)
    assert re.search(rf"run\.json: not as a run writes it \({re.escape(reason)}.*\); restore", said)


def test_a_protocol_of_fewer_keys_has_the_defaults_of_the_others(tmp_path):
    recorded = {"clock": {"words_per_minute": "inf"}}
    directory.write_record(tmp_path, {"command": "hrpo", "config": {"streaming": recorded}})
    read = recorded_streaming(tmp_path)
    assert (read.clock.words_per_minute, read.markers.chunk_end) == (math.inf, "<EOS>")


@BROKEN
def test_overwrite_moves_a_damaged_run_aside(tmp_path, content):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_bytes(content)
    assert "run.json: " in refusal(directory.take, run, IDENTITY, Existing.RESUME)
    assert directory.take(run, IDENTITY, Existing.OVERWRITE) is State.FRESH
    assert (tmp_path / "run.previous" / "run.json").read_bytes() == content
    directory.finish(run)


def test_a_mode_that_is_none_is_named_with_its_line(tmp_path):
    (tmp_path / "config.yaml").write_text("seed: 0\nmode: prefill_only\n")
    assert load_taught_mode(tmp_path) is Mode.PREFILL_ONLY
    (tmp_path / "config.yaml").write_text("seed: 0\nmode: backwards\n")
    assert "config.yaml:2: mode: got 'backwards'; expected" in refusal(load_taught_mode, tmp_path)


def test_provenance_without_its_parts_is_named(tmp_path):
    (tmp_path / "provenance.json").write_text('{"data": [{"name": "farm"}], "command": []}')
    assert "provenance.json: not as a run writes it" in refusal(load_provenance, tmp_path)


@pytest.mark.parametrize("line", ["{", '{"loss": 1}', "[1]", '{"step": "2"}', "\x00"])
def test_a_damaged_line_of_a_log_is_named_by_its_number_and_the_log_is_kept(tmp_path, line):
    log = StepLines(tmp_path / "metrics.jsonl")
    log.append(1, {"loss": 0.5})
    with log.path.open("a") as out:
        out.write(line + "\n")
    before = Path(log.path).read_bytes()
    assert f"{log.path}:2: no record of a step (" in refusal(log.rewind, 1)
    assert log.path.read_bytes() == before


def test_a_log_is_json_that_every_reader_takes(tmp_path):
    log = StepLines(tmp_path / "metrics.jsonl")
    log.append(1, {"loss": float("nan"), "reward_std": 0.5})
    assert log.path.read_text() == '{"step": 1, "loss": "nan", "reward_std": 0.5}\n'
    log.path.write_text('{"step": 1, "loss": NaN}\n')  # as earlier versions wrote it
    log.rewind(1)
    assert log.path.read_text() == '{"step": 1, "loss": "nan"}\n'
