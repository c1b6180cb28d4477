"""The figures of docs/DATA.md: written between their marks from the files at hand, the words around them kept."""

import re
from pathlib import Path

import pytest

from support.building import TOM, refused, write_rows
from tools import data_docs as document
from tools.data_docs import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "DATA.md"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    bad = {**TOM, "answer": "#### many"}
    write_rows(folder / "gsm8k.jsonl", [{**TOM, "original_id": i} for i in range(30)] + [bad])
    return folder


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "DATA.md"
    path.write_text(
        "# Words\n\n<!-- figures -->\noutdated\n<!-- end of figures -->\n\nMore words.\n"
    )
    return path


@pytest.fixture(autouse=True)
def few_recipes(monkeypatch):
    kept = [recipe for recipe in document.RECIPES if recipe.file in ("gsm8k.jsonl", "svamp.jsonl")]
    monkeypatch.setattr(
        document, "RECIPES", (*kept, document.Recipe("gsm_infinite", "", ("--count", "20")))
    )


def test_the_figures_are_written_anew_and_the_words_are_kept(data, page, capsys):
    for _ in range(2):
        assert main(["--data", str(data), "--document", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("# Words\n\n<!-- figures")
    assert text.endswith("<!-- end of figures -->\n\nMore words.\n")
    assert "outdated" not in text
    assert "| gsm8k | gsm8k.jsonl | MIT |" in text
    assert "| bad_gold 1 |" in text
    assert re.search(r"\| gsm8k.jsonl \| 30 of 30 \| 30 of 30 \| none \| 0 of 30 \| 0 \|", text)
    assert "Not built, for lack of the file: svamp.jsonl." in text
    assert str(data) not in text
    assert "not built, for lack of the file: svamp.jsonl" in capsys.readouterr().out


def test_a_document_without_the_marks_is_refused(data, tmp_path, capsys):
    (tmp_path / "x.md").write_text("words")
    status = main(["--data", str(data), "--document", str(tmp_path / "x.md")])
    refused(status, capsys, "x.md", "<!-- end of figures -->")


def test_a_text_that_was_changed_would_be_counted(data, page, monkeypatch):
    monkeypatch.setattr(
        document,
        "RECIPES",
        (document.Recipe("gsm8k", "gsm8k.jsonl", text=lambda row: row["question"][1:]),),
    )
    assert main(["--data", str(data), "--document", str(page)]) == 0
    assert "| 30 of 30 | 0 of 30 |" in page.read_text()


def test_the_document_names_every_source_and_every_option_of_shaping():
    from data_builders.sources.base import sources

    text = DOCUMENT.read_text()
    assert [name for name in sources() if f"| {name} |" not in text] == []
    for option in (
        "question",
        "chunk",
        "distractors",
        "repeats",
        "corrections",
        "missing",
        "shuffle",
    ):
        assert f"`--{option}" in text
    assert "<!-- figures -->" in text
