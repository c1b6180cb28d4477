"""The command ``adasr serve``: refusals before anything is loaded, a run that is served, and its end by SIGTERM."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import urllib.request
from types import SimpleNamespace

import pytest
import uvicorn

from adasr_trl.artifacts.saved_config import save_streaming
from adasr_trl.cli.main import main as adasr
from adasr_trl.serving.command import DrainingServer
from support.settings import STREAMING


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0: other machines reach it"),
        (["--api-key-env", "ADASR_TEST_UNSET"], "ADASR_TEST_UNSET: the variable is not set"),
        ([], "no such directory, and no Hub id"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(flags, words, capsys):
    assert adasr(["serve", "/nothing/here", *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--port", "70000"], ["--max-streams", "0"]])
def test_numbers_out_of_their_bounds_are_refused(flags, capsys):
    with pytest.raises(SystemExit):
        adasr(["serve", "run", *flags])
    assert flags[0] in capsys.readouterr().err


def test_without_the_extra_the_command_says_what_to_install(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "uvicorn" else find(name, *a)
    )
    assert adasr(["serve", "run"]) == 2
    assert "uvicorn not installed; pip install 'adasr-trl[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_server_and_is_not_raised_again(number):
    server = DrainingServer(uvicorn.Config("app"), SimpleNamespace(draining=True))
    raised = []
    before = signal.signal(number, lambda *_: raised.append(number))
    try:
        with server.capture_signals():
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert server.should_exit
    assert raised == []


@pytest.mark.slow
def test_a_run_is_served_until_sigterm_ends_it_with_status_0(answering, tokenizer, tmp_path):
    answering.save_pretrained(tmp_path / "run")
    tokenizer.save_pretrained(tmp_path / "run")
    save_streaming(tmp_path / "run", STREAMING)
    command = [sys.executable, "-m", "adasr_trl", "serve", str(tmp_path / "run"), "--port", "0"]
    environment = {**os.environ, "ADASR_KEY": "secret-key"}
    server = subprocess.Popen(
        [*command, "--api-key-env", "ADASR_KEY"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        url = next(line for line in server.stderr if line.startswith("page: ")).split()[1]
        with urllib.request.urlopen(f"{url}health", timeout=60) as reply:
            assert b'"model":"run"' in reply.read()
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert "Traceback" not in server.stderr.read()
    finally:
        server.kill()
