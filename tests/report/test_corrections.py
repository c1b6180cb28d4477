"""Accuracy lost to late corrections, from made-up records with numbers that can be counted by hand."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from adasr_trl.artifacts import directory
from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.config.sections import StreamingConfig
from adasr_trl.core.episode import write_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Ending
from adasr_trl.core.rollout import to_record
from adasr_trl.report.corrections import losses, markdown_of
from adasr_trl.report.gathering import Wanted, gather
from support import reported

RIGHT = {"none": "rrrrrrrrww", "0": "rrrrrrrwww", "2": "rrrrwwwwrw"}  # a letter a story


def evaluated(folder, right=RIGHT, count=10):
    """A run that answered ``count`` stories at each delay, right where the letter is r."""
    directory.take(folder, {"command": "made up"}, directory.Existing.REFUSE)
    directory.finish(folder)
    save_streaming(folder, StreamingConfig())
    asked, lines, dice = [], [], random.Random(0)
    for story in range(count):
        for delay, letters in right.items():
            episode = dataclasses.replace(
                reported.episode(story + 1),
                id=f"{story}-{delay}",
                group=f"{story}",
                tags=(f"delay {delay}",),
            )
            answer = episode.answer if letters[story] == "r" else "99"
            rollout = dataclasses.replace(
                reported.rollout(episode, dice, right=1.0), answer=answer, ending=Ending.ANSWERED
            )
            asked.append(episode)
            lines.append(json.dumps(to_record(rollout)) + "\n")
    write_episodes(folder / "eval-corrections" / "episodes.jsonl", asked)
    (folder / "eval-corrections" / "streaming-temperature-0.jsonl").write_text("".join(lines))
    return folder


def test_losses_are_paired_by_story_and_are_shares_of_the_accuracy_without_a_correction(tmp_path):
    methods = gather([str(evaluated(tmp_path / "hrpo"))], Wanted(name="corrections"))
    plain, soon, late = losses(methods)
    assert [row.delay for row in (plain, soon, late)] == [None, 0, 2]
    assert [row.summary.accuracy.mean for row in (plain, soon, late)] == [0.8, 0.7, 0.5]
    assert (plain.points, plain.share) == (None, None)
    assert soon.points.mean == pytest.approx(10)
    assert soon.points.low == 0  # one story lost, none won
    assert soon.share.mean == pytest.approx(1 / 8)
    assert late.points.mean == pytest.approx(30)  # four lost, one won
    assert late.share.mean == pytest.approx(3 / 8)
    assert late.points.low < 10
    page = markdown_of([plain, soon, late])
    assert "10 stories" in page
    assert "Left out" not in page
    assert "| hrpo | never wrong | 0.800" in page
    assert "| hrpo | 2 | 0.500" in page


def test_a_story_without_all_of_its_versions_is_left_out(tmp_path):
    run = evaluated(tmp_path / "hrpo", count=4)
    for name in ("episodes.jsonl", "streaming-temperature-0.jsonl"):
        file = run / "eval-corrections" / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    methods = gather([str(run)], Wanted(name="corrections"))
    rows = losses(methods)
    assert [row.summary.questions for row in rows] == [3, 3, 3]
    assert "Left out: 2 questions, of stories without all of these versions." in markdown_of(rows)


def test_the_command_prints_its_table_and_refuses_other_questions(tmp_path, capsys):
    evaluated(tmp_path / "seed-0" / "hrpo")
    out = tmp_path / "page.md"
    assert adasr(["corrections", str(tmp_path), "--out", str(out)]) == 0
    assert out.read_text() in capsys.readouterr().out
    other = reported.run(tmp_path / "other", 5, 0, 0.5)
    assert adasr(["corrections", str(other), "--name", "", "--out", str(out)]) == 2
    assert "holds no story both without and with a correction" in capsys.readouterr().err


def test_a_story_asked_twice_with_one_correction_is_refused(tmp_path):
    folder = evaluated(tmp_path / "hrpo") / "eval-corrections"
    for name, change in (
        ("episodes.jsonl", '"id": "0-2"'),
        ("streaming-temperature-0.jsonl", '"episode_id": "0-2"'),
    ):
        text = (folder / name).read_text(encoding="utf-8")
        line = next(line for line in text.splitlines() if change in line)
        more = line.replace(change, change.replace("0-2", "again"))
        (folder / name).write_text(f"{text}{more}\n", encoding="utf-8")
    with pytest.raises(UserError, match="story '0' was asked twice with the tag 'delay 2'"):
        losses(gather([str(folder.parent)], Wanted(name="corrections")))


def test_stories_that_are_all_right_are_no_proof_that_corrections_cost_nothing(tmp_path):
    run = evaluated(tmp_path / "hrpo", {"none": "r" * 10, "0": "r" * 10})
    plain, corrected = losses(gather([str(run)], Wanted(name="corrections")))
    # Wilson's bound of 10 of 10 is .7225: up to 27.8 % of the stories may be others.
    assert f"{corrected.points:+.1f}" == "+0.0 (-27.8 to +27.8)"
    assert f"{plain.summary.accuracy:.3f}" == "1.000 (0.722 to 1.000)"
    assert f"{corrected.share:+.2f}" == "+0.00"  # as many more stories would have given
