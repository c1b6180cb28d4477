"""Strings that look like secrets in files to be published; the strings are never printed.

    >>> find_secret(Path("config.yaml"))
    Secret(line=12, kind='Hugging Face token')

Patterns of known issuers, and long values of keys with names such as ``api_key``. Of safetensors the header is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_KINDS = {
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "OpenAI or Anthropic key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "Google API key": r"\bAIza[A-Za-z0-9_-]{35}",
    "Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "password in an address": r"://[^/\s:@\"']+:[^/\s:@\"']{6,}@",
    "value of a key for secrets": (
        r"(?i)(?:api[_-]?key|secret|passw(?:or)?d|(?:access|auth|hub)[_-]?token)[\"']?\s*[:=\s]\s*[\"']?"
        r"(?=[A-Za-z0-9/+_-]*\d)(?=[A-Za-z0-9/+_-]*[A-Za-z])[A-Za-z0-9/+_-]{16,}"
    ),
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _KINDS.items()}
_TEXT = (".json", ".jsonl", ".yaml", ".md", ".jinja", ".txt")


@dataclass(frozen=True)
class Secret:
    """Line and kind of a secret; line 0 is a binary file's header."""

    line: int
    kind: str


def find_secret(path: Path) -> Secret | None:
    """The first line of a file that looks like a secret."""
    if path.suffix in _TEXT:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if kind := kind_of_secret(line):
                    return Secret(number, kind)
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little") if path.suffix == ".safetensors" else 2**20
        kind = kind_of_secret(file.read(length).decode("utf-8", errors="replace"))
    return Secret(0, kind) if kind else None


def kind_of_secret(text: str) -> str | None:
    """The kind of secret in a text, or None."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(text)), None)
