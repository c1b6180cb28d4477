"""Settings of an evaluation: the numbers that it takes, and the records that it knows again."""

from __future__ import annotations

import math

import pytest

from adasr_trl.config.eval_section import ClockSection, EvalConfig
from adasr_trl.config.sections import MixturePart
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.settings import Setting, recorded_settings, settings_of


@pytest.mark.parametrize(
    ("temperatures", "message"),
    [
        ((math.nan,), "eval.temperatures: got nan; expected 0"),
        ((0.0, math.nan), "eval.temperatures: got nan"),
        ((1e-45,), "eval.temperatures: got 1e-45; expected 0"),
        ((math.inf,), "eval.temperatures: got inf"),
        ((-0.1,), "eval.temperatures: got -0.1"),
        # Records of both would have one name.
        ((1.0, 1.00000001), "got 1.00000001; expected at most 6 digits, such as 1"),
        ((0, -0.0), "expected one or more, each once"),
    ],
)
def test_a_temperature_is_a_finite_number_with_records_of_its_own(temperatures, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(temperatures=temperatures)


def test_minus_zero_is_greedy_like_zero():
    (setting,) = settings_of(EvalConfig(temperatures=(-0.0,)), ("streaming",))
    assert (setting.file, setting.decoding) == ("streaming-temperature-0.jsonl", "greedy")


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0, 1e-05, 1.5e10, 0.123456])
def test_records_are_known_again_by_their_name_and_other_files_are_none(tmp_path, temperature):
    setting = Setting(Mode.STREAMING, temperature)
    for name in (setting.file, Setting(Mode.STREAMING, temperature, sample=1).file):
        (tmp_path / name).touch()
    for name in ("0 (copy)", "0-old", "0 2", "warm", "", "nan"):
        (tmp_path / f"streaming-temperature-{name}.jsonl").touch()
    assert recorded_settings(tmp_path) == [setting]


def test_caps_of_thoughts_are_settings_of_the_modes_that_have_thoughts(tmp_path):
    config = EvalConfig(temperatures=(0.0,), layouts=("parallel",), thought_caps=(16, 8))
    settings = settings_of(config, ("streaming", "read_then_think"))
    assert [(setting.name, setting.mode_words) for setting in settings] == [
        ("streaming-parallel-thoughts-16-temperature-0", "streaming, parallel, thoughts of 16 tokens"),
        ("streaming-parallel-thoughts-8-temperature-0", "streaming, parallel, thoughts of 8 tokens"),
        ("read_then_think-parallel-temperature-0", "read-then-think, parallel"),
    ]  # fmt: skip
    for setting in settings:
        (tmp_path / setting.file).touch()
    assert recorded_settings(tmp_path) == [settings[1], settings[0], settings[2]]


# Streaming is a mode by default, and no run is evaluated in it.
_NO_THOUGHTS = {
    "runs": {"a": "runs/a"}, "run_modes": {"a": ("read_then_think",)}, "output_dir": "out",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"thought_caps": (8, 8)}, "got .8, 8.; expected each once"),
        ({"thought_caps": (0,)}, "thought_caps: got 0; expected 1"),
        ({"thought_caps": (8,), "modes": ("forced_skip",)}, "no effect in forced_skip"),
        ({"thought_caps": (8,), **_NO_THOUGHTS}, "thought_caps: has no effect in read_then_think"),
        (
            {"layouts": ("parallel",), "modes": ("zero_shot",)},
            "layouts: has no effect in zero_shot",
        ),
    ],
)
def test_a_cap_of_thoughts_or_a_layout_that_has_no_effect_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(**config)


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0])
def test_a_clock_takes_finite_rates_and_any_speed(rate):
    with pytest.raises(ValueError, match=r"clocks\.seconds_per_token: got .*; expected 0"):
        ClockSection(seconds_per_token=rate)
    assert ClockSection(words_per_minute=math.inf).given == {"words_per_minute": math.inf}
    with pytest.raises(ValueError, match=r"clocks\.words_per_minute: got nan"):
        ClockSection(words_per_minute=math.nan)


@pytest.mark.parametrize("weight", [math.nan, math.inf, 0.0])
def test_a_files_weight_is_finite(weight):
    with pytest.raises(ValueError, match=r"data\.mixture\.weight: got .*; expected above 0"):
        MixturePart("x.jsonl", weight)
