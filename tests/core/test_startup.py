"""The start of a command: its first line comes before slow imports, and only the named warnings are dropped."""

import logging
import os
import subprocess
import sys
import warnings

import pytest

from adasr_trl.core import startup

QUIET = [
    ("bitsandbytes.backends.cpu.ops", "Failed to load CPU gemm_4bit_forward from kernels-community: %s."),
    ("transformers.trainer", "There were missing keys in the checkpoint model loaded: ['lm_head.weight']."),
    ("DeepSpeed", "Setting accelerator to CPU. If you have GPU or other accelerator, ..."),
]  # fmt: skip
LOUD = [
    ("bitsandbytes.backends.cpu.ops", "another kernel"),
    ("transformers.trainer", "There were missing keys in the checkpoint model loaded: ['lm_head.weight', 'a']."),
    ("transformers.trainer", "There were unexpected keys in the checkpoint model loaded: ['a']."),
    ("DeepSpeed", "CPU offload is slow"),
]  # fmt: skip


@pytest.fixture
def begun():
    """The filters of a command, as often as it is begun, and without them again."""
    finders = list(sys.meta_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        startup.begin("adasr test")
        startup.begin("adasr test")
        yield caught
    sys.meta_path[:] = finders
    for name, _ in startup.MEANINGLESS:
        logging.getLogger(name).filters.clear()


@pytest.mark.parametrize(("name", "message"), [*QUIET, *LOUD])
def test_only_the_named_messages_are_dropped(begun, name, message):
    own = logging.getLogger(name)
    assert len(own.filters) == 1  # however often it began
    record = own.makeRecord(
        name, logging.WARNING, "", 0, message, ("x",) if "%s" in message else (), None
    )
    assert bool(own.filter(record)) == ((name, message) in LOUD)


def test_only_warnings_of_renamed_arguments_are_dropped(begun):
    for name in ("gradient_checkpointing", "is_gradient_checkpointing", "past_key_values"):
        warnings.warn(
            f"`{name}` is deprecated and will be removed in v6.", FutureWarning, stacklevel=1
        )
    warnings.warn("`gradient_checkpointing` is deprecated", UserWarning, stacklevel=1)
    assert [str(one.message).split("`")[1] for one in begun] == [
        "past_key_values", "gradient_checkpointing",
    ]  # fmt: skip


def test_the_libraries_give_these_warnings_with_the_words_that_are_dropped():
    # A release with other words would be loud again: then the list is to be corrected.
    import inspect

    from transformers import Trainer, training_args

    assert "There were missing keys in the checkpoint model loaded" in inspect.getsource(Trainer)
    assert "is deprecated and will be removed" in inspect.getsource(training_args)
    with pytest.warns(FutureWarning, match=startup.RENAMED):
        training_args.TrainingArguments("unused", gradient_checkpointing=True, use_cpu=True)


def started(code):
    """Standard error of a process that begins a command and goes on with ``code``."""
    text = (
        "import logging, sys; logging.basicConfig(level=20, format='%(message)s')\n"
        f"from adasr_trl.core.startup import begin; begin('adasr test')\n{code}"
    )
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)


def test_the_first_slow_import_is_announced_once_and_before_it_runs(tmp_path, monkeypatch):
    for name in ("torch", "datasets"):  # stand-ins: no test waits for the real ones
        (tmp_path / f"{name}.py").write_text("import sys; print('running', file=sys.stderr)")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{':'.join(sys.path)}")
    done = started("import json, torch, datasets")
    line = "adasr test: loading PyTorch and its libraries"
    assert done.stderr.splitlines() == [line, "running", "running"]


def test_a_command_without_slow_imports_says_nothing():
    assert started("import json, adasr_trl.config.loading").stderr == ""


def test_one_process_of_a_launcher_speaks(monkeypatch):
    for rank, speaks in (("0", True), ("1", False)):
        monkeypatch.setenv("RANK", rank)
        assert startup.is_first_process() == speaks


def test_bars_of_other_libraries_are_shown_on_a_terminal_only(begun, monkeypatch):
    name = "HF_HUB_DISABLE_PROGRESS_BARS"
    for is_terminal, expected in ((True, None), (False, "1")):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("sys.stderr.isatty", lambda shown=is_terminal: shown)
        startup.begin("adasr test")
        assert os.environ.get(name) == expected
