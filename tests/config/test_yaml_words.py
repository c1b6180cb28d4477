"""Words of YAML 1.2: a number is what a reader takes for one; an anchor that holds itself has no value."""

from __future__ import annotations

import datetime

import pytest

from adasr_trl.config.loading import load_config
from adasr_trl.config.sections import StreamingConfig
from adasr_trl.config.values import ConfigError, parse_argument, plain, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("-010", -10), ("08", 8), ("+7", 7), ("0", 0), ("1_000", 1000), ("0o17", 15), ("0x1F", 31),
        ("1e-4", 1e-4), ("1.5", 1.5), ("010.5", 10.5), (".5", 0.5), ("1.", 1.0), ("!!float 1", 1.0),
        ("1:2", "1:2"), ("1:30", "1:30"), ("1:30.5", "1:30.5"), ("190:20:30", "190:20:30"), ("0b11", "0b11"),
        ("'010'", "010"), ("!!str 010", "010"), ("yes", "yes"), ("True", True), ("null", None),
        ("2026-12-01", datetime.date(2026, 12, 1)),
    ],
)  # fmt: skip
def test_a_word_is_the_number_that_it_looks_like_or_text(tmp_path, text, value):
    (tmp_path / "run.yaml").write_text(f"a: {text}\nb: [{text}]\n", encoding="utf-8")
    found = plain(read_yaml(tmp_path / "run.yaml"))
    assert found == {"a": value, "b": [value]}
    assert type(found["a"]) is type(value)
    if not text.startswith(("!", "'")):
        assert parse_argument(text, "command line").value == value


@pytest.mark.parametrize("text", ["1:2", "0b11", "2:30"])
def test_a_clock_time_or_bits_are_no_number(tmp_path, text):
    (tmp_path / "run.yaml").write_text("seed: 1\n", encoding="utf-8")
    flags = ["--streaming.max_thought_tokens", text]
    with pytest.raises(ConfigError, match=rf"got '{text}'; expected a whole number"):
        load_config(tmp_path / "run.yaml", flags, {"streaming": StreamingConfig})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x {b: *x}\n", 1),
        ("a: &x\n  - 1\n  - *x\n", 1),
        ("a: &x\n  b: 1\n  <<: *x\n", 1),
        ("c: 1\na: &x {b: [c, {d: *x}]}\n", 2),
    ],
)
def test_an_anchor_that_holds_itself_is_refused_with_its_line(tmp_path, text, line):
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "run.yaml")
    assert str(caught.value) == (
        f"{tmp_path}/run.yaml:{line}: the anchor (&) here holds an alias (*) of itself; remove it."
    )


def test_what_is_nested_without_end_is_one_line_and_an_anchor_may_be_used_twice(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("a: " + "[" * 3000 + "]" * 3000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"run\.yaml: not valid YAML: nested too deeply\.$"):
        read_yaml(path)
    path.write_text("a: &x {b: 1}\nc: *x\nd: [*x]\n", encoding="utf-8")
    assert plain(read_yaml(path)) == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}]}
