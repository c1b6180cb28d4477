"""Builds every source on the files at hand and writes the tables of docs/DATA.md.

    python -m tools.data_docs --data DIR      (make data-docs DATA=DIR)

``RECIPES`` pairs files of DIR with sources. The text between the document's two marks is replaced, the rest stays. A
missing file is named as not built. Builds go into a temporary folder that is removed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adasr_trl.core.episode import read_episodes
from adasr_trl.core.errors import UserError, told
from adasr_trl.core.files import parts_around, put_between
from data_builders.__main__ import parse_options
from data_builders.pipeline.manifest import built_files, read_manifest
from data_builders.pipeline.run import run as build
from data_builders.rows.inputs import open_input
from data_builders.tools import quality_report

SUMMARY = "Build every source on the files at hand and write the figures into docs/DATA.md."
DOCUMENT = Path(__file__).parent.parent / "docs" / "DATA.md"
PLACE = "figures"  # between its two marks in the document

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Recipe:
    """One build of the document.

    Attributes:
        source: Name of the source.
        file: Its input in the folder; "" for a generator.
        options: Beside the defaults.
        text: The text of a row with its question in or behind it; None for rows that are not compared.
    """

    source: str
    file: str
    options: tuple[str, ...] = ()
    text: Callable[[Columns], str] | None = None


def _question(row: Columns) -> str:
    return str(row["question"])


def _abstract(row: Columns) -> str:
    return "\n".join(row["CONTEXTS"]) + f" {row['QUESTION'].strip()}"


def _problem(row: Columns) -> str:
    return str(row.get("query") or row["question"])


def _body(row: Columns) -> str:
    return f"{row['Body']} {row['Question'].strip()}"


RECIPES = (
    Recipe("ledger", "", ("--train-count", "2000", "--test-count", "200")),
    Recipe("gsm_infinite", "", ("--count", "1000")),
    Recipe("gsm8k", "gsm8k.jsonl", text=_question),
    Recipe(
        "gsm_symbolic",
        "gsm_symbolic_p1_gen.jsonl",
        ("--licence", "Apple sample code"),
        text=_question,
    ),
    Recipe("metamathqa", "metamathqa_sample.jsonl", ("--test-share", "0"), text=_problem),
    Recipe(
        "metamathqa", "metamath_gsm8k_backward.jsonl", ("--licence", "Apache-2.0"), text=_problem
    ),
    Recipe("svamp", "svamp.jsonl", text=_body),
    Recipe("prosqa", "prosqa.jsonl", text=_question),
    Recipe("pubmedqa", "pubmedqa.jsonl", text=_abstract),
    Recipe("reasoning_gym", "rg_gsm_symbolic.jsonl"),
    Recipe("reasoning_gym", "rg_family_relationships.jsonl"),
    Recipe("reasoning_gym", "rg_knights_knaves.jsonl"),
    Recipe("streamingthinker", "streamingthinker_examples.jsonl", ("--test-share", "0")),
)


@dataclass(frozen=True)
class Measurement:
    """Result of one recipe.

    Attributes:
        recipe: The recipe.
        manifest: Of its build.
        report: The quality report.
        unchanged: Rows whose joined chunks equal their text, and how many were compared.
        seconds: Processor time of the build.
    """

    recipe: Recipe
    manifest: Mapping[str, Any]
    report: quality_report.QualityReport
    unchanged: tuple[int, int]
    seconds: float


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.data_docs", description=SUMMARY)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of inputs")
    parser.add_argument(
        "--document", type=Path, default=DOCUMENT, metavar="FILE", help="default: docs/DATA.md"
    )
    options = parser.parse_args(argv)
    try:
        missing = write_figures(options.data, options.document)
    except (UserError, OSError) as error:
        words = told(error) if isinstance(error, OSError) else error
        print(f"error: {words}", file=sys.stderr)
        return 2
    left_out = f"; not built, for lack of the file: {', '.join(missing)}" if missing else ""
    print(f"{options.document}: written{left_out}")
    return 0


def write_figures(data: Path, document: Path) -> list[str]:
    """Write the tables into ``document``; return the missing files."""
    parts_around(document, PLACE)  # refused before the builds
    measurements, missing = [], []
    for recipe in RECIPES:
        if recipe.file and not (data / recipe.file).is_file():
            missing.append(recipe.file)
            continue
        with tempfile.TemporaryDirectory() as folder:
            measurements.append(_measure(recipe, data, Path(folder)))
    lines: list[str] = []
    for table in (_counts_table, _trace_table, _checks_table):
        lines += [*table(measurements), ""]
    if missing:
        lines.append(f"Not built, for lack of the file: {', '.join(missing)}.")
    put_between(document, PLACE, "\n".join(lines).strip())
    return missing


def _measure(recipe: Recipe, data: Path, folder: Path) -> Measurement:
    given = [*recipe.options, *(["--input", str(data / recipe.file)] if recipe.file else [])]
    options = parse_options(recipe.source, [*given, "--out", str(folder / "out")])
    start = time.process_time()
    build(recipe.source, options)
    seconds = time.process_time() - start
    unchanged = (0, 0)
    if recipe.text is not None:
        last = [*given, "--question", "last", "--keep-untraced", "--out", str(folder / "last")]
        build(recipe.source, parse_options(recipe.source, last))
        texts = {recipe.text(row.columns) for row in open_input(options).stream}
        unchanged = _unchanged(texts, folder / "last")
    report = quality_report.inspect(folder / "out", episodes=0)
    return Measurement(recipe, read_manifest(folder / "out") or {}, report, unchanged, seconds)


def _unchanged(texts: Set[str], directory: Path) -> tuple[int, int]:
    """How many episodes stream the text of a row to the letter, and how many there are."""
    episodes = [e for path in built_files(directory).values() for e in read_episodes(path)]
    return sum(episode.text in texts for episode in episodes), len(episodes)


def _sizes(manifest: Mapping[str, Any]) -> dict[str, int]:
    names = ("train.jsonl", "test.jsonl")
    return {
        name: manifest["files"][name]["episodes"] for name in names if name in manifest["files"]
    }


def _counts_table(measurements: Sequence[Measurement]) -> Iterator[str]:
    yield "| source | input | licence | train | test | groups | rejected rows, by reason |"
    yield "|---|---|---|---|---|---|---|"
    for measured in measurements:
        sizes, reasons = _sizes(measured.manifest), measured.manifest["rejected"]["by_reason"]
        why = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items()) or "none"
        cells = (
            measured.recipe.source,
            measured.recipe.file or "generated",
            measured.manifest["source"]["licence"],
            f"{sizes.get('train.jsonl', 0):,}",
            f"{sizes.get('test.jsonl', 0):,}",
            f"{measured.manifest['statistics']['groups']:,}",
            why,
        )
        yield f"| {' | '.join(cells)} |"


def _trace_table(measurements: Sequence[Measurement]) -> Iterator[str]:
    yield "| input | chunks | stream, s | answer types | traced | skips | steps streamed |"
    yield "|---|---|---|---|---|---|---|"
    for measured in measurements:
        figures, counts = measured.manifest["statistics"], measured.manifest["counts"]
        streamed, deep = counts.get("steps_streamed", 0), counts.get("steps_deep", 0)
        skips = figures["skip_share"]
        cells = (
            measured.recipe.file or measured.recipe.source,
            f"{figures['chunks']['mean']:.1f}",
            f"{figures['stream_seconds']['mean']:.1f}",
            ", ".join(figures["answer_types"]),
            f"{figures['trace_share']:.0%}",
            "" if skips is None else f"{skips:.0%}",
            f"{streamed / (streamed + deep):.0%}" if streamed + deep else "",
        )
        yield f"| {' | '.join(cells)} |"


def _checks_table(measurements: Sequence[Measurement]) -> Iterator[str]:
    yield (
        "| input | gold answers that parse | text unchanged | traces kept apart | facts from the future | groups in "
        "both splits | near-duplicates | episodes a second |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for measured in measurements:
        total = sum(_sizes(measured.manifest).values())
        apart = measured.manifest["rejected_traces"]
        same, compared = measured.unchanged
        cells = (
            measured.recipe.file or measured.recipe.source,
            f"{total - len(measured.report.unparsed):,} of {total:,}",
            f"{same:,} of {compared:,}" if compared else "",
            ", ".join(f"{reason} {count}" for reason, count in apart.items()) or "none",
            f"{len(measured.report.early)} of {measured.report.statistics.traced:,}",
            f"{len(measured.report.shared_groups)}",
            f"{len(measured.report.near)}",
            f"{_rounded(total / max(measured.seconds, 1e-9))}" if total > 100 else "",
        )
        yield f"| {' | '.join(cells)} |"


def _rounded(rate: float) -> str:
    return f"{round(rate, -2):,.0f}"


if __name__ == "__main__":
    sys.exit(main())
