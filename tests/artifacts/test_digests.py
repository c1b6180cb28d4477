"""Identity of inputs: equal bytes are the same model, and earlier records of the same model still hold."""

from __future__ import annotations

import copy
import json
import os
import shutil
from pathlib import Path

import pytest

from adasr_trl.artifacts import digests
from adasr_trl.artifacts.digests import file_digest, input_digest, weights_digest
from adasr_trl.artifacts.directory import (
    Existing,
    RunDirectoryError,
    State,
    evaluates,
    finish,
    look,
    take,
    write_record,
)
from adasr_trl.core.demo import FOLDER
from adasr_trl.core.errors import UserError


@pytest.fixture
def model(tmp_path) -> Path:
    """A directory that looks like a plain model's."""
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights 1")
    return folder


def adapter(folder: Path, base: Path) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    (folder / "adapter_model.safetensors").write_bytes(b"adapter")
    return folder


def as_run(folder: Path) -> Path:
    write_record(folder, {"command": "sft"})
    return folder


def as_checkpoint(folder: Path) -> Path:
    (folder / "streaming.json").write_text("{}")
    return folder


def as_model(folder: Path) -> Path:
    return folder


KINDS = pytest.mark.parametrize("kind", [as_model, as_checkpoint, as_run])


@KINDS
@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin", "x.gguf", "tokenizer.json"],
)  # fmt: skip
def test_other_bytes_of_a_loaded_file_are_another_model(model, kind, name):
    kind(model)
    (model / name).write_bytes(b"weights 1")
    before = input_digest(model)
    (model / name).write_bytes(b"weights 2")
    os.utime(model / name, (1, 1))
    assert input_digest(model) != before


@KINDS
def test_the_same_bytes_are_the_same_model_in_a_copy_with_other_times_and_records(
    model, tmp_path, kind
):
    before = input_digest(kind(model))
    other = shutil.copytree(model, tmp_path / "copy")
    os.utime(other / "model.safetensors", (1, 1))
    (other / "device.json").write_text("{}")
    (other / "eval").mkdir()
    assert input_digest(other) == before
    assert before.startswith("content:")


def test_the_clock_of_a_run_is_no_part_of_its_model_and_its_markers_are(model):
    file = model / "streaming.json"
    digests = []
    for streaming in (
        {"clock": {"words_per_minute": 150.0}, "markers": {"skip": "~~"}},
        {"markers": {"skip": "~~"}, "clock": {"words_per_minute": 99.0}},
        {"clock": {"words_per_minute": 150.0}, "markers": {"skip": "##"}},
    ):
        file.write_text(json.dumps(streaming))
        digests.append(str(input_digest(as_run(model))))
    assert digests[0] == digests[1] != digests[2]


def test_an_adapter_is_another_one_on_other_weights(model, tmp_path):
    on_it = adapter(tmp_path / "adapter", model)
    before = input_digest(on_it)
    (model / "model.safetensors").write_bytes(b"weights 2")
    assert input_digest(on_it) != before
    moved = shutil.copytree(model, tmp_path / "moved")
    digests_by_place = []
    for base in (model, moved):
        (on_it / "origin.json").write_text(json.dumps({"path": str(base), "dtype": "float32"}))
        digests_by_place.append(input_digest(on_it))
    assert digests_by_place[0] == digests_by_place[1]
    (on_it / "origin.json").write_text(json.dumps({"path": str(base), "dtype": "bfloat16"}))
    assert input_digest(on_it) != digests_by_place[0]
    (on_it / "origin.json").write_text(json.dumps({"path": "Qwen/Qwen3-0.6B"}))
    of_hub = input_digest(on_it)
    (model / "model.safetensors").write_bytes(b"weights 3")
    assert input_digest(on_it) == of_hub


def test_an_adapter_whose_base_is_gone_is_named_and_taken_for_no_other_one(model, tmp_path):
    on_it = adapter(tmp_path / "adapter", model)
    shutil.rmtree(model)
    with pytest.raises(UserError, match=r"adapter: its adapter lies on .*plain, which is not the"):
        input_digest(on_it)


def test_what_is_no_model_here_is_its_own_name_or_its_bytes(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert input_digest("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"
    assert input_digest(tmp_path) == str(tmp_path)
    assert input_digest(tmp_path / "rows.jsonl") == file_digest(tmp_path / "rows.jsonl")
    assert file_digest(tmp_path / "rows.jsonl").startswith("ca3d163bab055381")  # sha256sum


def test_a_digest_survives_a_copy_with_its_earlier_forms(model):
    digest = copy.deepcopy(input_digest(model))
    assert digest == input_digest(model)
    assert digest.is_recorded_as(str(model))


def test_an_unchanged_file_is_read_once(model, monkeypatch):
    before = input_digest(model)
    monkeypatch.setattr(digests.hashlib, "file_digest", lambda *_a: pytest.fail("read again"))
    assert input_digest(model) == before


def sizes_and_times(folder: Path) -> str:
    weights = sorted(folder.glob("*.safetensors"))
    return json.dumps([[w.name, w.stat().st_size, w.stat().st_mtime_ns] for w in weights])


EARLIER = pytest.mark.parametrize(
    ("kind", "form"),
    [
        (as_model, str),
        (as_checkpoint, sizes_and_times),
        (as_run, lambda folder: file_digest(folder / "run.json")),
    ],
)


@EARLIER
@pytest.mark.parametrize("existing", [Existing.RESUME, Existing.REFRESH])
def test_a_run_recorded_in_an_earlier_form_goes_on(model, tmp_path, kind, form, existing):
    run, config = tmp_path / "run", {"max_steps": 4}
    kind(model)
    earlier = {"command": "hrpo", "config": config, "model": form(model)}
    now = {**earlier, "model": input_digest(model)}
    write_record(run, earlier)
    assert look(run, now, existing) is State.COMPLETE
    assert look(run, {**now, "config": {"max_steps": 8}}, Existing.RESUME) is State.STARTED
    with pytest.raises(RunDirectoryError, match=r"\(model differs\)"):
        look(run, {**now, "model": input_digest(adapter(tmp_path / "a", model))}, Existing.RESUME)


@EARLIER
def test_records_of_an_evaluation_in_an_earlier_form_hold(model, tmp_path, kind, form):
    kind(model)
    folder = tmp_path / "eval"
    write_record(folder, {"command": "eval", "run": form(model)})
    assert evaluates(folder, model)
    assert look(folder, {"command": "eval", "run": input_digest(model)}, Existing.REFRESH) is (
        State.COMPLETE
    )
    assert not evaluates(folder, adapter(tmp_path / "a", model))


def test_records_of_a_pretrained_model_in_an_earlier_form_hold(model, tmp_path):
    asked = {"path": str(model), "weights": sizes_and_times(model)}
    write_record(tmp_path / "eval", {"run": asked})
    now = {"run": {**asked, "weights": weights_digest(model)}}
    assert look(tmp_path / "eval", now, Existing.REFRESH) is State.COMPLETE
    os.utime(model / "model.safetensors", (1, 1))
    now = {"run": {**asked, "weights": weights_digest(model)}}
    assert look(tmp_path / "eval", now, Existing.REFRESH) is State.FRESH


def test_a_resumed_run_is_recorded_by_content_from_then_on(model, tmp_path):
    run, earlier = tmp_path / "run", {"command": "sft", "model": str(model)}
    take(run, earlier, Existing.REFUSE)
    take(run, {**earlier, "model": input_digest(model)}, Existing.RESUME)
    finish(run)
    (model / "model.safetensors").write_bytes(b"weights 2")
    now = {**earlier, "model": input_digest(model)}
    assert look(run, now, Existing.REFRESH) is State.FRESH


def test_a_run_from_the_packaged_model_holds_when_the_package_is_installed_anew(tmp_path):
    weights = FOLDER / "model.safetensors"
    other_time = json.dumps([[weights.name, weights.stat().st_size, 1]])
    other_size = json.dumps([[weights.name, 1, weights.stat().st_mtime_ns]])
    for recorded, state in ((other_time, State.COMPLETE), (other_size, State.FRESH)):
        write_record(tmp_path / "run", {"model": recorded})
        now = {"model": input_digest(FOLDER)}
        assert look(tmp_path / "run", now, Existing.REFRESH) is state
