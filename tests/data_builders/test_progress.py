"""The line of progress: rate and time left are those of the last minute."""

import itertools

from data_builders import __main__ as module


def test_what_was_there_at_once_tells_nothing_of_the_time_left(monkeypatch, capsys):
    seconds = itertools.chain([1.0] * 100, itertools.count(4.0, 4.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    line = module._ProgressLine(shown=0.0)
    for done in range(1, 101):  # from the cache
        line.show(done, 200, done, "episodes")
    assert "episodes, 100.0/s, 0:01 left" in capsys.readouterr().err
    for done in range(101, 151):  # four seconds each
        line.show(done, 200, done, "episodes")
    assert "episodes, 0.2/s, 3:20 left" in capsys.readouterr().err.split("\r")[-1]


def test_one_that_takes_longer_than_the_window_counts(monkeypatch, capsys):
    seconds = itertools.count(300.0, 300.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    line = module._ProgressLine(shown=0.0)
    for done in (1, 2):
        line.show(done, 3, done, "episodes")
    assert "episodes, 0.0/s, 5:00 left" in capsys.readouterr().err.split("\r")[-1]
