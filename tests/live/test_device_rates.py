"""Rates of a device: fitted by hand-made timings, kept in the run, and turned into a clock."""

from __future__ import annotations

import json

import pytest

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.core.clock import Clock
from adasr_trl.core.errors import UserError
from adasr_trl.live import device_rates
from adasr_trl.live.device_rates import (
    DeviceProfile,
    TokenTiming,
    clock_of,
    fitted,
    load_or_measure,
    medians,
)
from support.live_use import reasoner_of
from support.settings import STREAMING


def test_the_rates_are_those_that_made_the_timings():
    # 2 ms a written token; a read takes 1 ms, and 0.1 ms for each of its tokens.
    reads = [TokenTiming(n, 0.002 + 0.001 + 0.0001 * n) for n in (5, 20, 10, 40)]
    found = fitted("cpu", [*reads, *[TokenTiming(0, 0.002)] * 9, TokenTiming(0, 0.5)])
    assert found.seconds_per_token == pytest.approx(0.002)  # the pause of 0.5 s is not in it
    assert found.prefill_seconds_per_token == pytest.approx(0.0001)
    assert found.seconds_per_read == pytest.approx(0.001)


def test_no_rate_is_below_zero_and_a_fixed_cost_below_it_goes_to_the_tokens():
    # A token costs 2 ms, and reads of 5 and 10 tokens 1 ms and 3 ms more: a line from -1 ms.
    steep = fitted("cpu", [TokenTiming(0, 0.002), TokenTiming(5, 0.003), TokenTiming(10, 0.005)])
    assert steep.seconds_per_read == 0.0
    assert steep.prefill_seconds_per_token == pytest.approx((0.0002 + 0.0003) / 2)
    falling = fitted("cpu", [TokenTiming(0, 0.002), TokenTiming(5, 0.005), TokenTiming(10, 0.003)])
    assert falling.prefill_seconds_per_token == 0.0
    assert falling.seconds_per_read == pytest.approx(0.002)
    quick = fitted("cpu", [TokenTiming(0, 0.002), TokenTiming(5, 0.001), TokenTiming(10, 0.001)])
    assert (quick.prefill_seconds_per_token, quick.seconds_per_read) == (0.0, 0.0)


def test_a_model_that_writes_nothing_cannot_be_measured():
    with pytest.raises(UserError, match="too few tokens"):
        fitted("cpu", [TokenTiming(3, 0.1)])


def test_the_median_over_rounds_counts_unless_they_wrote_different_tokens():
    rounds = [
        [TokenTiming(3, a), TokenTiming(0, b)] for a, b in ((1.0, 9.0), (2.0, 3.0), (90.0, 4.0))
    ]
    assert medians(rounds) == [TokenTiming(3, 2.0), TokenTiming(0, 4.0)]
    assert len(medians([rounds[0], rounds[1][:1]])) == 3


def test_the_clock_gets_the_rates_keeps_the_reading_speed_and_has_one_device():
    found = clock_of(DeviceProfile("cpu", 0.1, 0.2, 0.3), Clock(words_per_minute=300))
    assert found == Clock(300, 0.1, 0.2, 0.3, reads_beside=False)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_real_model_is_measured_by_what_live_use_runs(
    taught, tokenizer, monkeypatch, temperature
):
    monkeypatch.setattr(device_rates, "GAP_SECONDS", 0.0)
    monkeypatch.setattr(device_rates, "ROUNDS", 2)
    reasoner = reasoner_of(taught, tokenizer, STREAMING)
    timings = device_rates.round_of(reasoner)
    # Every chunk's first token reads it, the first deep token reads the end of the stream.
    assert sum(each.read_tokens > 0 for each in timings) == len(device_rates.CHUNKS) + 1
    found = device_rates.measure_reasoner(reasoner, "cpu")
    assert 0 < found.seconds_per_token < 1


def test_a_run_is_measured_once_and_anew_when_the_device_differs(tmp_path, monkeypatch):
    measured = []

    def measure(run):
        measured.append(run)
        return DeviceProfile("cpu", len(measured), 0.0, 0.0)

    monkeypatch.setattr(device_rates, "measure", measure)
    assert load_or_measure(tmp_path).seconds_per_token == 1
    assert load_or_measure(tmp_path).seconds_per_token == 1
    record = json.loads((tmp_path / "device.json").read_text())
    assert {"device", "dtype", "threads", "date", "profile"} == set(record)
    for name, other in (("device", "another"), ("threads", 99)):
        (tmp_path / "device.json").write_text(json.dumps({**record, name: other}))
        load_or_measure(tmp_path)
    assert len(measured) == 3
    (tmp_path / "device.json").write_text("{broken")
    assert load_or_measure(tmp_path).seconds_per_token == 4


def test_a_directory_is_loaded_and_measured(tmp_path, taught, tokenizer, monkeypatch):
    monkeypatch.setattr(device_rates, "GAP_SECONDS", 0.0)
    monkeypatch.setattr(device_rates, "ROUNDS", 2)
    taught.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    save_streaming(tmp_path, STREAMING)
    found = device_rates.measure(tmp_path)
    assert found.device
    assert found.seconds_per_token > 0
