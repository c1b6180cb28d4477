r"""Cuts of a text into chunks, beyond those of live use (``adasr_trl.core.chunking``).

    >>> cut("One.\n\nTwo. Three.", "paragraph")
    ('One.', '\n\nTwo. Three.')

``sentence``, ``word:N`` and ``clock:S`` are chunking's own; ``paragraph`` cuts at line breaks, ``token:N`` behind every N
tokens of a tokenizer, ``source`` keeps the units of the data set (premises, segments). Every cut is loss-free, and white
space belongs to the following chunk.
"""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from adasr_trl.core.chunking import chunk
from data_builders.errors import BuildError

SOURCE = "source"
_TOKENS = re.compile(r"token:([1-9][0-9]{0,8})")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The size of a chunk."""
    parser.add_argument(
        "--chunk",
        type=_spec,
        default="sentence",
        metavar="SPEC",
        help="what arrives at once: sentence (default), word:N, token:N, clock:SECONDS, clock:SECONDS@WORDS_PER_MINUTE, "
        "paragraph, or source (the set's own units)",
    )
    what = "for token:N: a tokenizer.json, its folder, or a Hub id"
    parser.add_argument("--tokenizer", metavar="PATH", help=what)


def check_options(options: argparse.Namespace) -> None:
    """Refuse tokens without a tokenizer, before any row is read."""
    if _TOKENS.fullmatch(options.chunk):
        if options.tokenizer is None:
            raise BuildError(f"--chunk {options.chunk}: needs --tokenizer PATH.")
        _tokenizer(options.tokenizer)


def cut(text: str, spec: str, tokenizer: str | None = None) -> tuple[str, ...]:
    """A text in chunks; () for a blank one. ``source`` is not cut here."""
    if spec == "paragraph":
        return _cut_at(text, _line_ends(text))
    if tokens := _TOKENS.fullmatch(spec):
        return _cut_at(text, _token_ends(text, int(tokens[1]), str(tokenizer)))
    return chunk(text, spec)


def _line_ends(text: str) -> list[int]:
    """Behind the last visible character of every line that has one."""
    ends, position = [], 0
    for line in text.split("\n"):
        if visible := len(line.rstrip()):
            ends.append(position + visible)
        position += len(line) + 1
    return ends[:-1]


def _token_ends(text: str, tokens: int, tokenizer: str) -> list[int]:
    """Behind every so many tokens; never inside a character of several tokens, nor behind white space."""
    offsets = _tokenizer(tokenizer).encode(text, add_special_tokens=False).offsets
    ends = (offsets[i][1] for i in range(tokens - 1, len(offsets) - 1, tokens))
    starts = {start for start, _ in offsets}
    whole = [end for end in ends if end in starts or text[end : end + 1].isspace()]
    return [len(text[:end].rstrip()) for end in whole]


def _cut_at(text: str, ends: Sequence[int]) -> tuple[str, ...]:
    """The pieces between ends."""
    bounds = (0, *sorted(set(ends) - {0, len(text)}), len(text))
    pieces = (text[start:end] for start, end in pairwise(bounds))
    return without_blanks(pieces) if text.strip() else ()


def without_blanks(texts: Iterable[str]) -> tuple[str, ...]:
    """Pieces without blank ones: a blank text joins the following one, at the end the last one."""
    pieces: list[str] = []
    for text in texts:
        if pieces and (not pieces[-1].strip() or not text.strip()):
            pieces[-1] += text
        else:
            pieces.append(text)
    return tuple(pieces)


@functools.lru_cache(maxsize=1)
def _tokenizer(name: str) -> Any:
    from tokenizers import Tokenizer

    path = Path(name)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        return Tokenizer.from_file(str(file)) if file.is_file() else Tokenizer.from_pretrained(name)
    except Exception as error:  # the library raises bare Exceptions
        raise BuildError(f"--tokenizer {name}: cannot be loaded: {error}") from None


def _spec(text: str) -> str:
    if text in ("paragraph", SOURCE) or _TOKENS.fullmatch(text):
        return text
    try:
        chunk("a", text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"chunking: got {text!r}; expected 'sentence', 'word:N', 'token:N', 'clock:S', 'clock:S@W' (W words a "
            f"minute), 'paragraph' or 'source', such as 'word:5'."
        ) from None
    return text
