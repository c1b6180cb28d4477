"""What the processes of one launch find in a run's directory: all train, or none does."""

import fcntl
import math

import pytest

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.directory import (
    Existing,
    RunDirectoryError,
    State,
    evaluates,
    finish,
    is_complete,
    is_done,
    look,
    take,
)
from adasr_trl.cli.run_plan import RunPlan

RUN = {"command": "hrpo", "config": {"max_steps": 4, "data": {"train": "a.jsonl"}}}
LONGER = {"command": "hrpo", "config": {"max_steps": 8, "data": {"train": "a.jsonl"}}}
OTHER_DATA = {"command": "hrpo", "config": {"max_steps": 4, "data": {"train": "b.jsonl"}}}


@pytest.mark.parametrize("existing", Existing)
@pytest.mark.parametrize("identity", [RUN, LONGER, OTHER_DATA])
def test_further_processes_find_a_finished_run_done_where_the_first_one_does(
    tmp_path, identity, existing
):
    run = tmp_path / "run"
    take(run, RUN, Existing.REFUSE)
    assert not is_done(run, RUN, existing)
    finish(run)
    try:
        state = look(run, identity, existing)
    except ValueError:
        return  # the first process ends the launch
    assert is_done(run, identity, existing) is (state is State.COMPLETE)
    if state is not State.COMPLETE:
        take(run, identity, existing)
        assert not is_done(run, identity, existing)


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_run_goes_on_with_other_memory_settings(tmp_path, is_finished):
    def identity(**memory):
        return {"command": "hrpo", "config": {"max_steps": 4, "streaming": memory}}

    run, other = tmp_path / "run", identity(decode_batch=16, max_cache_gib=1.5)
    take(run, identity(decode_batch=64), Existing.REFUSE)
    if is_finished:
        finish(run)
    expected = State.COMPLETE if is_finished else State.STARTED
    assert take(run, other, Existing.RESUME) is expected
    assert is_done(run, other, Existing.RESUME) is is_finished
    with pytest.raises(RunDirectoryError, match="max_thought_tokens differs"):
        look(run, identity(decode_batch=64, max_thought_tokens=9), Existing.RESUME)


def test_overwrite_through_a_link_stays_on_the_disk_that_it_leads_to(tmp_path):
    (tmp_path / "disk").mkdir()
    run = tmp_path / "run"
    run.symlink_to(tmp_path / "disk")
    for n in range(3):
        (run / "note.txt").write_text(str(n))
        assert take(run, RUN, Existing.OVERWRITE) is State.FRESH
        finish(run)
        assert run.is_symlink()
        assert (tmp_path / "disk" / "run.json").is_file()
        assert (tmp_path / "disk.previous" / "note.txt").read_text() == str(n)


def test_what_a_link_was_moved_to_by_an_earlier_version_is_replaced_as_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run.previous").symlink_to(tmp_path / "disk")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note.txt").write_text("0")
    assert take(tmp_path / "run", RUN, Existing.OVERWRITE) is State.FRESH
    assert (tmp_path / "run.previous" / "note.txt").read_text() == "0"
    assert (tmp_path / "disk").is_dir()


def test_an_infinite_speed_is_text_in_the_record_and_equal_to_what_earlier_versions_wrote(tmp_path):
    fast = {"command": "sft", "config": {"clock": {"words_per_minute": math.inf}}}
    run = tmp_path / "run"
    take(run, fast, Existing.REFUSE)
    written = (run / "run.json").read_text()
    assert '"words_per_minute": "inf"' in written
    assert look(run, fast, Existing.RESUME) is State.STARTED
    (run / "run.json").write_text(written.replace('"inf"', "Infinity"))
    assert look(run, fast, Existing.RESUME) is State.STARTED
    slow = {"command": "sft", "config": {"clock": {"words_per_minute": 150.0}}}
    with pytest.raises(RunDirectoryError, match=r"clock\.words_per_minute differs"):
        look(run, slow, Existing.RESUME)


def test_records_of_an_earlier_version_without_a_run_are_of_another_one(tmp_path):
    take(tmp_path / "eval", {"command": "eval"}, Existing.REFUSE)
    assert not evaluates(tmp_path / "eval", tmp_path)


def test_a_run_is_not_moved_from_under_a_process_that_evaluates_it(tmp_path):
    run = tmp_path / "run"
    take(run, RUN, Existing.REFUSE)
    finish(run)
    (run / "eval").mkdir()
    with (run / "eval" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunDirectoryError, match=r"run/eval: another process is working on"):
            take(run, LONGER, Existing.OVERWRITE)
        assert is_complete(run)
    assert take(run, LONGER, Existing.OVERWRITE) is State.FRESH
    assert (tmp_path / "run.previous" / "eval").is_dir()


@pytest.mark.parametrize("existing", [Existing.RESUME, Existing.REFRESH])
def test_a_run_that_another_process_finished_before_its_lock_was_free_is_complete(
    tmp_path, monkeypatch, existing
):
    run, free = tmp_path / "run", directory._lock
    take(run, OTHER_DATA if existing is Existing.REFRESH else RUN, Existing.REFUSE)
    directory._unlock(run)  # that process lives no longer

    def lock_late(path):
        directory.write_record(path, RUN)
        free(path)

    monkeypatch.setattr(directory, "_lock", lock_late)
    assert take(run, RUN, existing) is State.COMPLETE
    assert is_complete(run)
    assert not (tmp_path / "run.previous").exists()
    assert run not in directory._LOCKS


def test_a_plan_does_not_train_over_a_run_that_was_finished_since(tmp_path):
    run = tmp_path / "run"
    plan = RunPlan(run, RUN, None, Existing.RESUME, complete=False)
    directory.write_record(run, RUN)
    with pytest.raises(RunDirectoryError, match="another process has finished this run meanwhile"):
        plan.take(["hrpo"])
    assert sorted(file.name for file in run.iterdir()) == ["run.json"]
