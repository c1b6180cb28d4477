"""The error of a build."""

from __future__ import annotations

from adasr_trl.core.errors import UserError


class BuildError(UserError):
    """A build that cannot go on; the message names the file and line, or the flag."""
