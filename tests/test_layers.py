"""The layers of the package, held by the imports themselves (read with ``ast``, nothing is imported)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "adasr_trl"
BUILDERS = ROOT / "data_builders"

# Imports go down or stay within a layer. A folder's modules share its name and its layer.
LAYERS = {
    **dict.fromkeys(
        [
            "protocol",
            "chunking",
            "episode",
            "rollout",
            "answers",
            "trace_numbers",
            "clock",
            "metrics",
            "config",
            "config_sections",
            "config_values",
            "files",
            "mixture",
            "rundir",
            "streaming_file",
            "provenance",
            "transcripts",
            "eval_config",
            "pacing",
            "lagging",
            "piped",
            "samples",
            "step_lines",
        ],
        0,
    ),
    **dict.fromkeys(["rewards", "advantages", "shaping"], 1),
    **dict.fromkeys(["codec", "model", "layouts", "engines", "boundaries", "hub_files"], 2),
    **dict.fromkeys(
        [
            "samplers",
            "callbacks",
            "processes",
            "texts",
            "training",
            "probe",
            "sft",
            "hrpo",
            "evaluation",
            "eval_plan",
            "reasoner",
            "background",
            "live_stream",
            "profile",
        ],
        3,
    ),
    **dict.fromkeys(
        [
            "report",
            "table",
            "live",
            "hub",
            "card",
            "base_licence",
            "secret_scan",
            "verify",
            "doctor",
            "doctor_checks",
            "combinations",
            "reporting",
            "show",
            "show_samples",
            "compare",
            "stages",
            "ablate",
            "ablation_tables",
            "commands",
            "suite",
        ],
        4,
    ),
    **dict.fromkeys(["cli", "__main__"], 5),
    "__init__": 5,  # may name anything lazily; importing a name from it (__version__) is free
}
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


def read(path: Path, root: Path) -> list[Import]:
    package = ".".join(path.parent.relative_to(root).parts)
    return imports_of(path.read_text(encoding="utf-8"), package)


def layer_name(dotted: str) -> str:
    """The first path part within adasr_trl, or __init__ for a plain name of the package."""
    first = [*dotted.split("."), ""][1]
    module = PACKAGE / first
    return (
        first if first and (module.is_dir() or module.with_suffix(".py").is_file()) else "__init__"
    )


def goes_up(importer: int, dotted: str) -> bool:
    if dotted.split(".")[0] != "adasr_trl":
        return False
    name = layer_name(dotted)
    return name != "__init__" and LAYERS.get(name, 0) > importer


def own_name(path: Path) -> str:
    return Path(path.relative_to(PACKAGE).parts[0]).stem


def test_every_module_has_a_layer() -> None:
    assert {own_name(path) for path in files(PACKAGE)} <= set(LAYERS)


@pytest.mark.parametrize("path", files(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    upward = [
        f"{path}:{found.line}: {own_name(path)} imports {found.name}"
        for found in read(path, PACKAGE.parent)
        if goes_up(LAYERS.get(own_name(path), 0), found.name)
    ]
    assert not upward


@pytest.mark.parametrize(
    "path",
    [path for path in files(PACKAGE) if LAYERS.get(own_name(path)) == 0],
    ids=lambda path: path.name,
)
def test_layer_0_loads_the_standard_library_only(path: Path) -> None:
    allowed = {*sys.stdlib_module_names, "adasr_trl"}
    loaded = [found for found in read(path, PACKAGE.parent) if found.at_load]
    assert not [found for found in loaded if found.name.split(".")[0] not in allowed]


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in files(PACKAGE)
        if own_name(path) in ("rewards", "cli", "__init__", "__main__")
    ],
    ids=lambda path: path.name,
)
def test_rewards_and_the_command_line_load_nothing_heavy(path: Path) -> None:
    loaded = [found for found in read(path, PACKAGE.parent) if found.at_load]
    assert not [found for found in loaded if found.name.split(".")[0] in HEAVY]


def test_the_package_never_imports_the_builders() -> None:
    found = [(path, one) for path in files(PACKAGE) for one in read(path, PACKAGE.parent)]
    assert not [(path, one) for path, one in found if one.name.split(".")[0] == "data_builders"]


def test_the_builders_import_layer_0_only_and_never_torch() -> None:
    found = [(path, one) for path in files(BUILDERS) for one in read(path, ROOT)]
    assert not [(path, one) for path, one in found if goes_up(0, one.name)]
    assert not [(path, one) for path, one in found if one.name.split(".")[0] == "torch"]
    heavy = [(path, one) for path, one in found if one.name.split(".")[0] in HEAVY]
    assert not [(path, one) for path, one in heavy if one.at_load]


def test_the_walker_sees_lazy_relative_and_guarded_imports() -> None:
    source = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "else:\n    import json\n"
        "from . import row\nfrom ..clock import Clock\n"
        "def f():\n    import trl\n"
    )
    assert imports_of(source, "adasr_trl.engines") == [
        Import("typing.TYPE_CHECKING", 1, True),
        Import("json", 5, True),
        Import("adasr_trl.engines.rollout_state", 6, True),
        Import("adasr_trl.core.clock.Clock", 7, True),
        Import("trl", 9, False),
    ]
