"""Licences under which adapted rows may be passed on."""

import pytest

from adasr_trl.artifacts.provenance import may_be_shared


@pytest.mark.parametrize(
    ("licence", "shared"),
    [
        ("Apache-2.0", True), ("MIT", True), ("CC BY-SA 4.0", True), ("cc-by-nc-4.0", True), ("CC0-1.0", True),
        ("CC BY-ND 4.0", False), ("cc_by_nc_nd_4.0", False), ("proprietary", False), ("unknown", False),
    ],
)  # fmt: skip
def test_which_licences_let_adapted_rows_be_passed_on(licence, shared):
    assert may_be_shared(licence) == shared
