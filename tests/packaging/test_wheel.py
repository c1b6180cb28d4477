"""The built wheel works where nothing else of the repository is: commands, both packages, data files, the README's example."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HUB_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_the_project_names_its_pages_and_its_extras() -> None:
    assert set(PROJECT["urls"]) == {
        "Homepage", "Repository", "Documentation", "Changelog", "Issues",
    }  # fmt: skip
    assert {"report", "gpu", "logging"} <= set(PROJECT["optional-dependencies"])
    told = set(re.findall(r"adasr-trl\[([a-z-]+)\]", _sources()))
    assert told <= set(PROJECT["optional-dependencies"])  # what errors and docs advise


def _sources() -> str:
    paths = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    _run(sys.executable, "-m", "pip", "wheel", *offline, ROOT, "--wheel-dir", folder)
    (built,) = folder.glob("adasr_trl-*.whl")
    return built


@pytest.fixture(scope="module")
def env(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, whose dependencies are this one's; no editable install reaches it."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    offline = ("--no-deps", "--no-index", "--quiet")
    _run(sys.executable, "-m", "pip", "--python", python, "install", *offline, wheel)
    (packages,) = folder.glob("lib/python3*/site-packages")
    torch = importlib.util.find_spec("torch")
    assert torch is not None
    assert torch.origin is not None
    (packages / "dependencies.pth").write_text(f"{Path(torch.origin).parents[1]}\n")
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_holds_both_packages_their_data_files_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"adasr_trl", "data_builders", f"{wheel.name.split('-py3')[0]}.dist-info"}
    for folder, top in ((ROOT / "src", "adasr_trl"), (ROOT, "data_builders")):
        files = (path for path in (folder / top).rglob("*") if path.is_file())
        own = {path.relative_to(folder).as_posix() for path in files if path.suffix != ".pyc"}
        if top == "adasr_trl":
            own |= {f"{top}/{path.relative_to(ROOT)}" for path in ROOT.glob("configs/*/*.yaml")}
        assert own == {name for name in names if name.startswith(f"{top}/")}


@pytest.mark.slow
def test_the_commands_work_from_an_empty_folder(env: Path, tmp_path: Path) -> None:
    for arguments in (("--help",), ("doctor", "--help"), ("data", "--help")):
        assert "usage: adasr" in _run(env / "adasr", *arguments, cwd=tmp_path)
    counts = ("--train-count", "4", "--test-count", "2")
    assert "4 in train.jsonl" in _run(
        env / "adasr", "data", "ledger", *counts, "--out", "made", cwd=tmp_path
    )
    config = ("--config", "configs/tiny/data.yaml", *counts)
    assert "4 in train.jsonl" in _run(env / "adasr", "data", *config, cwd=tmp_path)
    code = "import adasr_trl, data_builders; print(adasr_trl.__file__, data_builders.__file__)"
    found = _run(env / "python", "-c", code, cwd=tmp_path).split()
    assert all(path.startswith(str(env.parent)) for path in found)


@pytest.mark.slow
def test_the_readme_example_runs_as_printed(env: Path, model, tokenizer, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = (
        x for x in re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S) if HUB_MODEL in x
    )
    (tmp_path / "example.py").write_text(code.replace(HUB_MODEL, str(tmp_path / "model")))
    _run(env / "python", "example.py", cwd=tmp_path)
    assert (tmp_path / "runs" / "mine" / "model.safetensors").is_file()
    assert "the same model" in _run(env / "adasr", "verify", "runs/mine", cwd=tmp_path)


def _run(*command: object, cwd: Path | None = None) -> str:
    """Standard output of a command that knows nothing of this repository's folders."""
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
