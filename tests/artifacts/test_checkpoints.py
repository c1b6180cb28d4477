"""Checkpoints of a run: folders of the user, copies that lack files, times from the future."""

from __future__ import annotations

import os
import time

import pytest
from transformers.trainer_utils import rotate_checkpoints

from adasr_trl.artifacts.checkpoints import by_step, is_whole, keep_in_order, latest_checkpoint
from adasr_trl.artifacts.checkpoints import mark_checkpoint as mark

HOUR = 3600.0


def checkpoint(run, name, written=None):
    """A whole checkpoint, written at a time."""
    folder = run / name
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    mark(folder)
    if written is not None:
        os.utime(folder, (written, written))
    return folder


@pytest.mark.parametrize("name", ["checkpoint-4.bak", "checkpoint-4-copy", "checkpoint-best"])
@pytest.mark.parametrize("is_marked", [False, True])
def test_a_folder_that_the_user_named_is_neither_resumed_from_nor_removed(
    tmp_path, name, is_marked
):
    checkpoint(tmp_path, "checkpoint-2")
    own = checkpoint(tmp_path, name)
    if not is_marked:
        (own / "whole.json").unlink()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    assert (own / "model.safetensors").is_file()


def test_a_checkpoint_that_a_copy_left_without_its_mark_is_named_before_it_goes(tmp_path, caplog):
    checkpoint(tmp_path, "checkpoint-9")
    (checkpoint(tmp_path, "checkpoint-10") / "whole.json").unlink()
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-9"
    assert list(by_step(tmp_path)) == [9]
    assert f"{tmp_path / 'checkpoint-10'}: lacks files, so it is removed" in caplog.text


def test_a_mark_of_no_file_is_no_whole_checkpoint(tmp_path):
    mark(tmp_path)
    assert not is_whole(tmp_path)


@pytest.mark.parametrize(
    ("written", "step", "kept"),
    [
        ({2: 0.0, 4: 1.0}, 6, [4, 6]),
        ({2: 9.0, 4: 8.0}, 6, [4, 6]),  # from the future, and copied in another order
        ({2: -9.0, 4: 8.0}, 6, [4, 6]),
        ({2: -9.0, 8: 9.0}, 4, [2, 4]),  # training went on from an earlier one
    ],
)
def test_the_newest_checkpoints_are_kept_whatever_the_clock_said(tmp_path, written, step, kept):
    for number, hours in written.items():
        checkpoint(tmp_path, f"checkpoint-{number}", time.time() - HOUR + hours * HOUR)
    keep_in_order(tmp_path, step)
    checkpoint(tmp_path, f"checkpoint-{step}")
    rotate_checkpoints(str(tmp_path), save_total_limit=2, use_mtime=True)
    assert list(by_step(tmp_path)) == kept


def test_times_in_order_stay(tmp_path):
    written = [time.time() - age * HOUR for age in (2, 1)]
    folders = [
        checkpoint(tmp_path, f"checkpoint-{n}", t) for n, t in zip((2, 10), written, strict=True)
    ]
    keep_in_order(tmp_path, 11)
    assert [folder.stat().st_mtime for folder in folders] == pytest.approx(written, abs=1e-3)
