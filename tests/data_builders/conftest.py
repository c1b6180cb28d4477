"""The directory of a build."""

import pytest


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"
