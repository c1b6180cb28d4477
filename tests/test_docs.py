"""The pages name what exists: files, modules, links, targets and flags. Nothing heavy is imported."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from adasr_trl.cli.main import COMMANDS, _parser
from adasr_trl.experiments import tables as grid
from data_builders.pipeline import run as build
from data_builders.sources.base import load_source, sources
from data_builders.tools import quality_report, speak, teacher

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEXTS = sorted([*PAGES, *ROOT.glob("configs/**/*.yaml"), ROOT / "Makefile"])
TOPS = "src|tests|data_builders|benchmarks|tools|configs|docs"
PATH = re.compile(rf"(?<![\w/.:-])(?:{TOPS})/[\w./*-]*[\w/*]")
MODULE_FILE = re.compile(r"`([\w/]+\.py)`")
NAME = re.compile(r"(?<![\w/.])(?:adasr_trl|data_builders|benchmarks|tools)(?:\.\w+)+")
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
CODE = re.compile(r"^```(?:bash)?\n(.*?)^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_text = pytest.mark.parametrize("page", TEXTS, ids=named)
every_page = pytest.mark.parametrize("page", PAGES, ids=named)


@every_text
def test_every_path_exists(page):
    paths = [
        path for path in PATH.findall(text_of(page)) if not path.startswith("data_builders/...")
    ]
    assert [path for path in paths if not any(ROOT.glob(path))] == []


@every_page
def test_every_module_file_exists_from_the_root_or_in_a_package(page):
    bases = (ROOT, ROOT / "src" / "adasr_trl", ROOT / "data_builders")
    files = MODULE_FILE.findall(text_of(page))
    missing = [file for file in files if not any((base / file).is_file() for base in bases)]
    assert [file for file in missing if "/" in file] == []


@every_text
def test_every_dotted_name_exists(page):
    assert [name for name in NAME.findall(text_of(page)) if not is_defined(name)] == []


def is_defined(name: str) -> bool:
    """Whether a dotted name is a package, a module, or a name at the top of one (or of a class in it)."""
    first, *rest = name.split(".")
    place = ROOT / "src" / first if first == "adasr_trl" else ROOT / first
    while rest and (place / rest[0]).is_dir():
        place /= rest.pop(0)
    if rest and (place / f"{rest[0]}.py").is_file():
        place /= f"{rest.pop(0)}.py"
    body = ast.parse(text_of(place / "__init__.py" if place.is_dir() else place)).body
    for part in rest:
        found = [node for node in body if part in names_of(node)]
        if not found:
            return False
        body = found[0].body if isinstance(found[0], ast.ClassDef) else []
    return True


def names_of(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


@every_page
def test_every_link_leads_somewhere(page):
    for path, anchor in LINK.findall(text_of(page)):
        if "://" in path:
            continue
        target = (page.parent / path) if path else page
        assert target.exists(), path
        assert not anchor or anchor[1:] in anchors(target), f"{path}{anchor}"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---- commands


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The words behind ``program`` of each command on a page; comments, pipes and continuations are resolved."""
    for block, inline in CODE.findall(text_of(page)):
        for line in (block or inline).replace("\\\n", " ").splitlines():
            for part in re.split(r"\s\|\s|\s&&\s", line):
                start = part.find(program + " ")
                if start >= 0 and not part[:start].strip(" ="):
                    yield shlex.split(part[start + len(program) :], comments=True)


def flags(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2}


@pytest.fixture(scope="module")
def subcommands() -> dict[str, argparse.ArgumentParser]:
    found = {}
    for name in COMMANDS:  # a parser has the arguments of one command alone
        actions = _parser([name])._actions
        (action,) = [a for a in actions if isinstance(a, argparse._SubParsersAction)]
        found[name] = action.choices[name]
    return found


@pytest.fixture(scope="module")
def keys() -> set[str]:
    """The keys of configurations: sections with their fields, HRPO's, TRL's and transformers' (read, not imported)."""
    own = ROOT / "src" / "adasr_trl"
    found: set[str] = set()
    for module in [*own.glob("config/*.py"), own / "hrpo" / "config.py", own / "core" / "clock.py"]:
        found |= annotated(module)
    for package, names in (
        ("trl", ("trainer/base_config.py", "trainer/grpo_config.py", "trainer/sft_config.py")),
        ("transformers", ("training_args.py",)),
    ):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        for name in names:
            found |= annotated(Path(str(spec.origin)).parent / name)
    return found | {
        "model",
        "data",
        "streaming",
        "eval",
        "lora",
        "rewards",
        "alarms",
        "group_filter",
    }


def annotated(module: Path) -> set[str]:
    nodes = ast.walk(ast.parse(text_of(module)))
    return {
        n.target.id
        for n in nodes
        if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }


@every_page
def test_adasr_accepts_every_flag(page, subcommands, keys):
    for command, *words in commands(page, "adasr"):
        if command.startswith("--") or command in ("...", "COMMAND", "data"):
            continue
        assert command in subcommands, command
        known = set(subcommands[command]._option_string_actions)
        for flag in flags(words) - known:
            parts = flag[2:].split(".")
            parts = parts[1:] if command == "compare" else parts  # --STAGE.KEY
            assert set(parts) <= keys, f"adasr {command} {flag}"


@every_page
def test_the_builders_accept_every_flag(page):
    for words in commands(page, "adasr data"):
        parser = argparse.ArgumentParser()
        source, *rest = words
        if source == "inspect":
            quality_report.add_options(parser)
        elif source == "teach":
            teacher.add_options(parser)
        elif source == "speak":
            speak.add_options(parser)
        elif source in sources():
            build.add_options(parser)
            load_source(source).add_options(parser)
        else:
            assert source.startswith("--") or source in ("SOURCE", "..."), source
            continue
        assert flags(rest) <= set(parser._option_string_actions), words


@every_page
def test_make_has_every_target_and_variable(page):
    makefile = text_of(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for words in commands(page, "make"):
        for word in words:
            name, is_variable, _ = word.partition("=")
            assert name in (variables if is_variable else targets), f"make {word}"


# ---- the page on the architecture

ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
LANDMARK = re.compile(
    r"^\| [^|]* \| \[[^]]*\]\(\.\./([^)]*)\), `(\w+)` \| `([^`]*)` \|$", re.MULTILINE
)


def test_the_tree_names_every_package_and_module():
    """An entry is a line with a package, then lines of its modules."""
    listed: dict[Path, set[str]] = {}
    root = package = ROOT
    for line in text_of(ARCHITECTURE).splitlines():
        if line in ("src/adasr_trl/", "data_builders/"):
            root = ROOT / line
        elif name := re.match(r"  (\w+)/ ", line):
            package = root / name[1]
            listed[package] = set()
        elif line.startswith(" " * 18) and package in listed:
            listed[package] |= set(line.split())
        else:
            package = ROOT
    there = {
        folder.parent: {file.stem for file in folder.parent.glob("*.py")} - {"__init__", "__main__"}
        for top in ("src/adasr_trl", "data_builders")
        for folder in (ROOT / top).glob("*/__init__.py")
    }
    assert listed == there


def test_every_landmark_stands_in_its_function():
    landmarks = LANDMARK.findall(text_of(ARCHITECTURE))
    assert len(landmarks) >= 3
    for file, function, line in landmarks:
        source = text_of(ROOT / file)
        bodies = [
            str(ast.get_source_segment(source, node))
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.FunctionDef) and node.name == function
        ]
        assert any(line in body for body in bodies), f"{file}, {function}: {line}"


# ---- the tables of the embedded default


def test_the_recorded_tables_have_the_words_of_their_command():
    page = text_of(ROOT / "docs" / "results" / "tiny.md")
    cells = {
        cell
        for line in page.splitlines()
        if line.startswith("| ")
        for cell in line[2:-2].split(" | ")
    }
    columns = (*grid.WORK, *grid.SIGNIFICANCE, *grid.OF_TAGS)
    assert {column.header for column in columns} <= cells
    assert {label for label, *_ in grid.CURVES} <= cells
    section = yaml.safe_load(text_of(ROOT / "configs" / "tiny" / "ablate.yaml"))["ablate"]
    pages = page + text_of(ROOT / "docs" / "results" / "tiny-wider.md")
    for table in section["tables"]:
        assert f"<!-- {table['name']} -->\n\n**{table['title']}**\n" in pages
