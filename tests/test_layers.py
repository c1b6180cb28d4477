"""The layers of the package, held by the imports themselves (read with ``ast``, nothing is imported)."""

from __future__ import annotations

import ast
import functools
import graphlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "adasr_trl"
BUILDERS = ROOT / "data_builders"

# A package imports itself and those below it (to its left). Above them all: __init__ and __main__.
PACKAGES = (
    *(
        "core",
        "config",
        "speech",
        "artifacts",
        "layouts",
        "rewards",
        "models",
        "engines",
        "live",
        "serving",
        "training",
    ),
    *("hrpo", "evaluation", "hub", "report", "experiments", "cli"),
)
BUILDER_PACKAGES = ("errors", "rows", "text", "traces", "sources", "pipeline", "tools")
SHARED = ("core", "config", "speech")  # the packages that the builders may use
LIGHT = ("core", "config")  # the standard library (and PyYAML) only
HEAVY = {
    *("torch", "transformers", "trl", "datasets", "peft", "accelerate", "tokenizers"),
    *("matplotlib", "pandas", "numpy", "math_verify", "sympy"),
}


@dataclass(frozen=True)
class Import:
    """One imported module.

    Attributes:
        name: Dotted, absolute.
        line: Where.
        at_load: Whether it happens when the module is loaded, not inside a function.
    """

    name: str
    line: int
    at_load: bool


def imports_of(source: str, package: str) -> list[Import]:
    """Every import of a module that lies in ``package``, but for those under TYPE_CHECKING."""
    return list(_walk(ast.parse(source), package, at_load=True))


def _walk(node: ast.AST, package: str, *, at_load: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, node.lineno, at_load)
    elif isinstance(node, ast.ImportFrom):
        parts = package.split(".")
        base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
        module = ".".join(filter(None, (base, node.module)))
        for alias in node.names:  # "from adasr_trl import clock" imports adasr_trl.core.clock
            yield Import(f"{module}.{alias.name}", node.lineno, at_load)
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in children:
        yield from _walk(child, package, at_load=at_load and not inside)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@functools.cache
def read(path: Path, root: Path) -> list[Import]:
    package = ".".join(path.parent.relative_to(root).parts)
    return imports_of(path.read_text(encoding="utf-8"), package)


def place(dotted: str, root: str, packages: tuple[str, ...]) -> int | None:
    """The place of a module's package in the order, or None outside of it."""
    first, _, rest = dotted.partition(".")
    name = rest.partition(".")[0]
    return packages.index(name) if first == root and name in packages else None


def upward(folder: Path, packages: tuple[str, ...]) -> list[str]:
    """Every import that goes up."""
    lines = []
    for path in files(folder):
        own = Path(path.relative_to(folder).parts[0]).stem
        for found in read(path, folder.parent):
            at = place(found.name, folder.name, packages)
            if own in packages and at is not None and at > packages.index(own):
                lines.append(f"{path}:{found.line}: {own} imports {found.name}")
    return lines


@pytest.mark.parametrize(
    ("folder", "packages", "loose"),
    [
        (PACKAGE, PACKAGES, {"__init__", "__main__"}),
        (BUILDERS, BUILDER_PACKAGES, {"__init__", "__main__", "errors"}),
    ],
    ids=["adasr_trl", "data_builders"],
)
def test_every_module_lies_in_a_package_of_the_list(folder, packages, loose) -> None:
    assert {path.stem for path in folder.glob("*.py")} == loose
    assert {path.parent.name for path in folder.glob("*/__init__.py")} == set(packages) - loose


@pytest.mark.parametrize(
    ("folder", "packages"),
    [(PACKAGE, PACKAGES), (BUILDERS, BUILDER_PACKAGES)],
    ids=["adasr_trl", "data_builders"],
)
def test_imports_go_down_only(folder, packages) -> None:
    assert not upward(folder, packages)


@pytest.mark.parametrize("folder", [PACKAGE, BUILDERS], ids=["adasr_trl", "data_builders"])
def test_modules_import_each_other_in_no_circle(folder) -> None:
    graph = {module_of(path, folder.parent): set() for path in files(folder)}
    for path in files(folder):
        for found in read(path, folder.parent):
            target = found.name if found.name in graph else found.name.rpartition(".")[0]
            if target in graph:
                graph[module_of(path, folder.parent)].add(target)
    graph = {module: targets - {module} for module, targets in graph.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises a CycleError with the modules


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_core_and_config_load_the_standard_library_only() -> None:
    allowed = {*sys.stdlib_module_names, "adasr_trl", "yaml"}
    found = [
        (path, one)
        for name in LIGHT
        for path in files(PACKAGE / name)
        for one in read(path, PACKAGE.parent)
    ]
    loaded = [(path, one) for path, one in found if one.at_load]
    assert not [(path, one) for path, one in loaded if one.name.split(".")[0] not in allowed]


def test_rewards_and_the_command_line_load_nothing_heavy() -> None:
    light = [*files(PACKAGE / "rewards"), *files(PACKAGE / "cli"), *PACKAGE.glob("*.py")]
    loaded = [(path, one) for path in light for one in read(path, PACKAGE.parent) if one.at_load]
    assert not [(path, one) for path, one in loaded if one.name.split(".")[0] in HEAVY]


def test_the_package_never_imports_the_builders() -> None:
    found = [(path, one) for path in files(PACKAGE) for one in read(path, PACKAGE.parent)]
    assert not [(path, one) for path, one in found if one.name.split(".")[0] == "data_builders"]


def test_the_builders_import_the_lowest_packages_only_and_load_no_torch() -> None:
    found = [(path, one) for path in files(BUILDERS) for one in read(path, ROOT)]
    own = [(path, one) for path, one in found if one.name.split(".")[0] == "adasr_trl"]
    assert not [(path, one) for path, one in own if one.name.split(".")[1] not in SHARED]
    torch = [(path, one) for path, one in found if one.name.split(".")[0] == "torch"]
    # A teacher on this machine needs it, when it is asked for.
    assert not [(p, one) for p, one in torch if one.at_load or p.name != "local_model.py"]
    heavy = [(path, one) for path, one in found if one.name.split(".")[0] in HEAVY]
    assert not [(path, one) for path, one in heavy if one.at_load]


def test_the_walker_sees_lazy_relative_and_guarded_imports() -> None:
    source = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "else:\n    import json\n"
        "from . import rollout_state\nfrom ..clock import Clock\n"
        "def f():\n    import trl\n"
    )
    assert imports_of(source, "adasr_trl.engines") == [
        Import("typing.TYPE_CHECKING", 1, True),
        Import("json", 5, True),
        Import("adasr_trl.engines.rollout_state", 6, True),
        Import("adasr_trl.clock.Clock", 7, True),
        Import("trl", 9, False),
    ]
