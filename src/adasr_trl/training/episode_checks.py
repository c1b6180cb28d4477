"""Checks of all episodes before the first step: traces, and lengths against the caps and the model's positions.

    UserError: 3 of 684 episodes are too long (first: 'e7' with 1,203 tokens, of 1,024 positions). Shorten them ... or leave
    them out: data.too_long: skip

Each check goes through every episode, counts what fails, and names the first one and the way out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from adasr_trl.core.episode import Episode
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.layouts import Layout
from adasr_trl.layouts.codec import Codec

logger = logging.getLogger(__name__)

Policy = Literal["refuse", "skip"]
NO_TRACE = (
    "so SFT has nothing to imitate. Make traces: adasr data teach DIR ..., or build with --rationale-column or "
    "--thoughts-column (docs/OWN_DATA.md). Or leave them out: data.untraced: skip"
)
TOO_LONG = (
    "Shorten them, raise streaming.max_prompt_tokens or take a model with more positions, or leave them out: "
    "data.too_long: skip"
)


@dataclass(frozen=True)
class Limits:
    """Most tokens of one episode: given ones (``streaming.max_prompt_tokens``), and positions of the model, if known."""

    given: int
    positions: int | None

    @property
    def least(self) -> int:
        """The smaller limit."""
        return min(self.given, self.positions or self.given)


def traced_only(episodes: Sequence[Episode], policy: Policy) -> list[int]:
    """Indices of the episodes with a trace; a UserError for any other one, or for none, unless they are skipped."""
    faults = {i: "" for i, e in enumerate(episodes) if e.thoughts is None or e.deep is None}
    return _without(episodes, faults, policy, ("has no trace", "have no trace"), NO_TRACE)


def fitting_only(
    episodes: Sequence[Episode],
    layout: Layout,
    codec: Codec,
    limits: Limits,
    policy: Policy,
    mode: Mode | None,
    way_out: str = TOO_LONG,
) -> list[int]:
    """Indices of the episodes within the limits; a UserError for any other one unless they are skipped.

    Args:
        episodes: Those to check.
        layout: Layout of an episode's tokens.
        codec: Tokenizer with markers.
        limits: Most tokens.
        policy: Treatment of one that is too long.
        mode: Mode of supervised training, whose traces count too; None for rollouts.
        way_out: End of the refusal.
    """
    bound = _byte_bound(codec, mode is not None)
    faults = {}
    for index, episode in enumerate(episodes):
        if bound(episode) > limits.least and (fault := _too_long(episode, layout, limits, mode)):
            faults[index] = fault
    return _without(episodes, faults, policy, ("is too long", "are too long"), way_out)


def _byte_bound(codec: Codec, with_trace: bool) -> Callable[[Episode], int]:
    """A cheap upper bound of an episode's tokens: no text has two tokens a byte."""
    overhead = len(codec.prompt("", "")) + 64
    marker = max(len(codec.marker(role)) for role in ("chunk_end", "thought_end", "skip"))

    def bound(episode: Episode) -> int:
        words = [episode.question, episode.text]
        if with_trace:
            words += [*(episode.thoughts or ()), episode.deep or "", episode.answer]
        return overhead + 2 * (len("".join(words).encode()) + marker * (len(episode.chunks) + 1))

    return bound


def _too_long(episode: Episode, layout: Layout, limits: Limits, mode: Mode | None) -> str:
    """The excess of an episode in words, or nothing."""
    try:
        turns = layout.turns(episode, mode or Mode.STREAMING)
    except UserError as error:
        return str(error).partition(": ")[2].partition(";")[0]
    if limits.positions is None:
        return ""
    given = sum(len(turn.token_ids) for turn in turns)
    tokens = given + 1 if mode is None else len(layout.encode(episode, mode, turns).token_ids)
    if layout.name == "parallel":  # each stream counts its own positions
        prompt = layout.prompt_length(turns)
        tokens = max(prompt, tokens - prompt)
    return (
        f"{tokens:,} tokens, of {limits.positions:,} positions" if tokens > limits.positions else ""
    )


def _without(
    episodes: Sequence[Episode],
    faults: dict[int, str],
    policy: Policy,
    words: tuple[str, str],
    way_out: str,
) -> list[int]:
    kept = [index for index in range(len(episodes)) if index not in faults]
    if not faults:
        return kept
    first = next(iter(faults))
    detail = f" with {faults[first]}" if faults[first] else ""
    count = f"{len(faults):,} of {len(episodes):,} episodes {words[len(episodes) > 1]} (first: {episodes[first].id!r}{detail})"
    if policy == "skip" and kept:
        logger.warning("%s; left out", count)
        return kept
    raise UserError(f"{count}{', ' if way_out.startswith('so') else '. '}{way_out}.")
