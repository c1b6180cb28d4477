"""A run and a story to stream."""

from __future__ import annotations

import pytest

from adasr_trl.artifacts.saved_config import save_streaming
from support.live_use import TEXT
from support.settings import STREAMING


@pytest.fixture
def run(tmp_path, taught, tokenizer):
    """A whole model's directory."""
    taught.save_pretrained(tmp_path / "run")
    tokenizer.save_pretrained(tmp_path / "run")
    save_streaming(tmp_path / "run", STREAMING)
    return str(tmp_path / "run")


@pytest.fixture
def story(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text(TEXT)
    return str(path)
