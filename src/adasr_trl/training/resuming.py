"""The checkpoint that a trainer resumes from in Python: a whole one.

    >>> trainer.train(resume_from_checkpoint=True)      # a kill cut checkpoint-2 short
    runs/mine: resuming from checkpoint-1, since checkpoint-2 is not whole

transformers takes the newest one, and without its optimizer starts that anew in silence. Nothing is removed here: what
is not whole may be another tool's.
"""

from __future__ import annotations

import logging
from pathlib import Path

from adasr_trl.artifacts.checkpoints import by_step, is_whole
from adasr_trl.core.errors import UserError

logger = logging.getLogger(__name__)


def whole_checkpoint(asked: str | Path | bool | None, run: Path) -> str | None:
    """The checkpoint to resume from; True asks for the newest one of a run.

    Raises:
        UserError: The one that was named is not whole, or none of the run is.
    """
    if asked is None or asked is False:
        return None
    if asked is True:
        found = _newest_first(run)
        whole = next(filter(is_whole, found), None)
        if whole is None:
            raise UserError(
                f"resume_from_checkpoint: {run} holds no whole checkpoint; leave it out to train from the start."
            )
        if whole != found[0]:
            logger.warning(
                "%s: resuming from %s, since %s is not whole", run, whole.name, found[0].name
            )
        return str(whole)
    folder = Path(asked)
    if not is_whole(folder):
        whole = next(filter(is_whole, _newest_first(folder.parent)), None)
        remedy = f"the newest whole one is {whole}" if whole else "none beside it is whole"
        raise UserError(
            f"resume_from_checkpoint: {folder} is no whole checkpoint of this trainer; {remedy}."
        )
    return str(folder)


def _newest_first(run: Path) -> list[Path]:
    return list(reversed(by_step(run).values()))
