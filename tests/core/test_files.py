"""Pages that tables are written into: line ends, byte order marks and what is no UTF-8 text."""

from __future__ import annotations

from pathlib import Path

import pytest

from adasr_trl.core.errors import UserError, told
from adasr_trl.core.files import appender, make_folder, put_between, write_text

FULL = Path("/dev/full")  # has room for nothing
PAGE = "\ufeffbefore\n<!-- m -->\nold\n<!-- end of m -->\n\nafter ü\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_page_keeps_its_line_ends_and_its_byte_order_mark(tmp_path, end):
    page = tmp_path / "page.md"
    page.write_bytes(PAGE.replace("\n", end).encode())
    put_between(page, "m", "| a |\n|---|")
    wanted = PAGE.replace("\nold\n", "\n\n| a |\n|---|\n\n").replace("\n", end)
    assert page.read_bytes() == wanted.encode()
    put_between(page, "m", "| a |\n|---|")
    assert page.read_bytes() == wanted.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_page_that_is_no_utf_8_text_is_named_and_kept(tmp_path, encoding):
    page = tmp_path / "page.md"
    page.write_text(PAGE[1:], encoding=encoding)
    before = page.read_bytes()
    with pytest.raises(UserError, match=r"page\.md: cannot be read as UTF-8 text .*; convert it"):
        put_between(page, "m", "new")
    assert page.read_bytes() == before


@pytest.mark.parametrize("below", ["", "seed-0/sft"])
def test_a_link_that_leads_nowhere_is_named_with_its_target(tmp_path, below):
    link = tmp_path / "runs"
    link.symlink_to(tmp_path / "disk")
    said = rf"{link}: a link to {tmp_path / 'disk'}, which is not there; mount or make"
    with pytest.raises(UserError, match=said):
        make_folder(link / below)
    with pytest.raises(UserError, match=said):
        write_text(link / below / "run.json", "{}")
    (tmp_path / "disk").mkdir()
    make_folder(link / below)
    assert (link / below).is_dir()


def test_a_file_in_place_of_a_folder_stays_the_error_of_the_system(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "runs")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
def test_a_line_that_finds_no_room_is_an_error_with_the_name_of_its_file():
    with pytest.raises(OSError, match="No space left") as caught, appender(FULL) as out:
        out.write("{}\n")
    assert told(caught.value) == "/dev/full: No space left on device"
