"""Checks of an optimizer, its schedule and an adapter before any weight is moved or any rollout made.

TRL, PEFT and transformers raise their errors in their own words, some of them only at the first step. ``one_line`` gives
such an error as a line that names the setting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from adasr_trl.core.errors import UserError

_LONGEST = 300  # characters of another library's message


def check_optimizer(args: Any) -> None:
    """Build the optimizer and schedule of some training arguments on one weight.

    Raises:
        UserError: The package of the optimizer is missing, or an argument of either is wrong.
    """
    from transformers import Trainer, get_scheduler

    with one_line(f"optim: {getattr(args.optim, 'value', args.optim)}"):
        kind, kwargs = Trainer.get_optimizer_cls_and_kwargs(args)
        optimizer = kind(
            [torch.nn.Parameter(torch.zeros(1))], **{"lr": args.learning_rate, **kwargs}
        )
    with one_line(
        f"lr_scheduler_type: {getattr(args.lr_scheduler_type, 'value', args.lr_scheduler_type)}"
    ):
        get_scheduler(
            args.lr_scheduler_type,
            optimizer=optimizer,
            num_warmup_steps=1,
            num_training_steps=10,
            scheduler_specific_kwargs=args.lr_scheduler_kwargs or {},
        )


@contextmanager
def one_line(setting: str) -> Iterator[None]:
    """Turn another library's error into one line (UserError); errors of our own pass."""
    try:
        yield
    except UserError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        ImportError,
        RuntimeError,
        NotImplementedError,
    ) as error:
        logging.getLogger(__name__).debug("%s", setting, exc_info=True)
        words = " ".join(str(error).split())[:_LONGEST]
        raise UserError(f"{setting}: {type(error).__name__}: {words}") from error
