"""What the processes of one launch find in a run's directory: all train, or none does."""

import pytest

from adasr_trl.artifacts.directory import (
    Existing,
    RunDirectoryError,
    State,
    finish,
    is_done,
    look,
    take,
)

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
