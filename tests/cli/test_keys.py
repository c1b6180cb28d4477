"""The list of keys: complete, and the documentation's page is made of it."""

from pathlib import Path

from adasr_trl.cli.keys import keys_of
from adasr_trl.cli.main import main as adasr
from adasr_trl.config.keys import OBEYED
from tools.keys_page import page

PAGE = Path(__file__).parents[2] / "docs" / "KEYS.md"


def test_the_page_is_the_list():
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tools.keys_page docs/KEYS.md"


def test_every_obeyed_argument_and_every_section_is_listed_with_a_meaning():
    names = {key.name for key in keys_of("hrpo")}
    assert OBEYED["hrpo"] <= names
    assert {
        "model.path",
        "data.train",
        "streaming.clock.words_per_minute",
        "rewards.N.name",
    } <= names
    assert [key.name for key in keys_of("hrpo") if key.is_own and not key.summary] == []


def test_the_command_prints_them(capsys):
    assert adasr(["keys", "eval"]) == 0
    out = capsys.readouterr().out
    assert "adasr eval" in out
    assert "eval.samples" in out
