"""The table maker: words, cells and Markdown of every table of an evaluation."""

from __future__ import annotations

from adasr_trl.evaluation.tables import Column, table

HALF = Column[float]("half", lambda x: x / 2, ".2f")
ROOT = Column[float]("root", lambda x: x**0.5 if x >= 0 else None, ".1f")


def test_a_table_has_a_row_for_each_thing_and_a_dash_for_what_it_lacks() -> None:
    made = table(("name", "sign"), [(("four", "+"), 4.0), (("minus one", "-"), -1.0)], (HALF, ROOT))
    assert made.markdown().splitlines() == [
        "| name | sign | half | root |",
        "| --- | --- | --- | --- |",
        "| four | + | 2.00 | 2.0 |",
        "| minus one | - | -0.50 | - |",
    ]


def test_a_column_of_text_goes_behind_the_others() -> None:
    made = table(("name",), [(("four",), 4.0)], (HALF,)).with_column("note", ["even"])
    assert made.markdown().splitlines()[-1] == "| four | 2.00 | even |"
