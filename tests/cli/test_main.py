"""The command line: one door by three names, and nothing heavy loaded before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adasr_trl.cli import main

TINY = Path(__file__).parents[2] / "configs" / "tiny"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["adasr_trl", "adasr_trl.cli"])
def test_a_file_in_the_current_directory_is_taken_for_no_library(
    tmp_path: Path, module: str
) -> None:
    for name in ("datasets", "random", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not the library')\n")
    command = [sys.executable, "-m", module, "show", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_launcher_may_name_the_package_or_its_command_line() -> None:
    # accelerate launch -m adasr_trl.cli sft ... runs python -m adasr_trl.cli sft ...
    for arguments in (("--version",), ("sft",)):
        first, second = (
            python("-m", module, *arguments) for module in ("adasr_trl", "adasr_trl.cli")
        )
        assert (first.returncode, first.stdout, first.stderr) == (
            second.returncode,
            second.stdout,
            second.stderr,
        )
    assert "usage: adasr sft" in second.stderr


@pytest.mark.parametrize("command", [(), *((name,) for name in main.COMMANDS)])
def test_help_loads_no_torch(command: tuple[str, ...]) -> None:
    code = (
        "import sys; from adasr_trl.cli.main import main\n"
        f"try: main([*{command!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    said = python("-c", code).stdout
    assert said.startswith(" ".join(("usage: adasr", *command)))
    assert said.endswith("False\n")


def test_a_configuration_is_prepared_without_torch() -> None:
    code = (
        "import sys; from adasr_trl.cli.prepare import prepare\n"
        "for command in ('sft', 'grpo', 'hrpo'): prepare(f'{sys.argv[1]}/{command}.yaml', [], command)\n"
        "print('torch' in sys.modules)"
    )
    assert python("-c", code, str(TINY)).stdout == "False\n"


def test_only_an_interrupted_run_is_resumed_by_a_flag(monkeypatch, capsys, tmp_path) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("adasr_trl.cli.train.train", interrupt)
    monkeypatch.setattr("adasr_trl.cli.doctor.doctor", interrupt)
    assert main.main(["sft", "--config", "x.yaml"]) == 130
    assert "the same command with --resume goes on" in capsys.readouterr().err
    assert main.main(["doctor", "--config", "x.yaml"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_data_is_the_builders_command_line(tmp_path, capsys) -> None:
    sizes = ("--train-count", "6", "--test-count", "2")
    assert main.main(["data", "ledger", *sizes, "--out", str(tmp_path / "built")]) == 0
    assert main.main(["data", "inspect", str(tmp_path / "built")]) == 0
    assert main.main(["data", "nothing", "--out", str(tmp_path / "none")]) == 2
    assert "unknown source 'nothing'; known are" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["help"]])
def test_no_command_and_the_word_help_list_the_commands(argv, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(argv)
    assert ended.value.code == 0
    assert "a finished run on text as it arrives" in capsys.readouterr().out


def test_help_before_a_command_is_help_of_it(capsys) -> None:
    for argv in (["help", "show"], ["show", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main.main(argv)
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith("usage: adasr show")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["stfream", "demo"], "there is no command 'stfream'; did you mean stream?"),
        (["evla"], "there is no command 'evla'; did you mean eval?"),
        (["help", "serv"], "there is no command 'serv'; did you mean serve?"),
        (["train"], "there is no command 'train'; expected one of data, sft, grpo,"),
    ],
)
def test_an_unknown_command_is_named_with_one_that_is_near(argv, said, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(argv)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["hrpo", "eval", "doctor"])
def test_a_command_without_its_file_names_one(command, capsys):
    with pytest.raises(SystemExit):
        main.main([command, "--learning_rate", "1e-5"])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    name = {"doctor": "hrpo"}.get(command, command)
    assert f"needs --config FILE, such as configs/tiny/{name}.yaml" in line


def test_names_and_texts_are_utf_8_in_any_locale(tmp_path):
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    path = tmp_path / "Münzen 中.txt"
    path.write_text("Tom hat 5 Münzen.", encoding="utf-8")
    command = [
        "-m",
        "adasr_trl",
        "stream",
        "demo",
        "--question",
        "Wie viele Münzen?",
        "--wpm",
        "9000",
    ]
    command += ["--replay", str(path)]
    for encoding, letter in (("", "ü"), ("ascii", "\\u00fc")):
        env = plain | ({"PYTHONIOENCODING": encoding} if encoding else {})
        ended = subprocess.run(
            [sys.executable, *command], capture_output=True, env=env, check=False
        )
        assert ended.returncode == 0
        words = ended.stdout.decode()
        assert f"question Wie viele M{letter}nzen?" in words
        assert f"Tom hat 5 M{letter}nzen." in words


def test_a_typo_of_a_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["show", "runs/x", "--cuont", "3"])
    assert "show has no argument '--cuont'; did you mean --count?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["data", "show"])
def test_an_interrupt_while_a_command_is_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "builders", interrupted)
    monkeypatch.setattr(main.importlib, "import_module", interrupted)
    assert main.main([command, "x"]) == 130
    assert capsys.readouterr().err == "interrupted; run the same command again\n"
