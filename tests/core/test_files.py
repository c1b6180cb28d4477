"""Pages that tables are written into: line ends, byte order marks and what is no UTF-8 text."""

from __future__ import annotations

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.core.files import put_between

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
