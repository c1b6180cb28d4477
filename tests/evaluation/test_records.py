"""Records are JSON as the standard has it: numbers that it has no form for are text."""

from __future__ import annotations

import json

import pytest

from adasr_trl.artifacts.directory import RunDirectoryError
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.records import load_rollouts, questions_digest
from adasr_trl.evaluation.settings import Setting
from support import reported

SETTING = Setting(Mode.STREAMING, 0.0)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_word_that_is_no_json_is_refused_with_its_line(tmp_path, word):
    folder = reported.run(tmp_path / "run", 3, 0, 1.0) / "eval"
    file = folder / SETTING.file
    lines = file.read_text().splitlines()
    lengths = [len(json.loads(line)["token_ids"]) for line in lines]

    def with_second(value: str) -> None:
        record = json.loads(lines[1]) | {"logprobs": [-0.5] * lengths[1]}
        changed = json.dumps(record).replace("-0.5", value, 1)
        file.write_text("\n".join([lines[0], changed, lines[2]]) + "\n")

    with_second('"nan"')
    assert len(list(load_rollouts(folder, SETTING))) == 3
    with_second(word)
    with pytest.raises(RunDirectoryError) as caught:
        list(load_rollouts(folder, SETTING))
    said = str(caught.value)
    assert said.startswith(f"{file}:2: not a record (ValueError: got {word}, which is no JSON;")
    assert said.endswith("remove the file, and run adasr eval again with --resume.")


def test_records_without_their_questions_are_named_with_what_to_do(tmp_path):
    folder = reported.run(tmp_path / "run", 3, 0, 1.0) / "eval"
    (folder / "episodes.jsonl").unlink()
    for read in (lambda: list(load_rollouts(folder, SETTING)), lambda: questions_digest(folder)):
        with pytest.raises(
            RunDirectoryError, match=r"episodes\.jsonl: no such file, .* --overwrite"
        ):
            read()
