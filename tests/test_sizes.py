"""Sizes that a reader can hold, and packages of the wheel: read from the sources and from pyproject.toml."""

from __future__ import annotations

import ast
import functools
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "data_builders", "benchmarks", "tools", "tests")
FILE_LINES = 400
FUNCTION_LINES = 60


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_over_400_lines(folder: str) -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(folder)}
    assert lines
    assert {str(path): count for path, count in lines.items() if count > FILE_LINES} == {}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_function_is_over_60_lines(folder: str) -> None:
    lines = {
        f"{path}:{node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for path in sources(folder)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {place: count for place, count in lines.items() if count > FUNCTION_LINES} == {}


def test_the_wheel_has_the_package_and_the_builders_and_no_tools() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {
        "packages": ["src/adasr_trl", "data_builders"],
        "force-include": {"configs": "adasr_trl/configs"},
    }
    assert (ROOT / "tools" / "__init__.py").is_file()  # of the repository, importable in its tests
    assert not list((ROOT / "src").glob("*/tools"))


def test_tests_share_helpers_through_support_only() -> None:
    tests = ROOT / "tests"
    modules = {path.stem for path in tests.rglob("*.py")}
    imported = [
        (str(path), node.module)
        for path in tests.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0
    ]
    assert [(path, name) for path, name in imported if name in modules] == []
