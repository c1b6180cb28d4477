"""Rollout: one sampled trajectory as token ids with phases, and the ending of each part.

    >>> rollout.tokens_in(Phase.STREAM), rollout.ending
    (31, <Ending.ANSWERED: 'answered'>)

Rewards, metrics, the clock and the reports read this object, never decoded text with markers stripped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from adasr_trl.core.json_numbers import number, plain_numbers
from adasr_trl.core.protocol import Ending, Phase

_TEXT, _WHOLE = ((str,), "text"), ((int,), "a whole number")
# Exact types of a record's values, since JSON's true is an int for ``isinstance``, and the words for them.
_SINGLE: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("episode_id", "phases", "ending", "deep"), _TEXT),
    **dict.fromkeys(("prompt_length", "answer_tokens"), _WHOLE),
    "answer": ((str, NoneType), "text or null"),
    "reasoning_tokens": ((int, NoneType), "a whole number or null"),
}
_LISTS: Mapping[str, tuple[tuple[type, ...], str]] = {  # the same of its lists' entries
    **dict.fromkeys(("token_ids", "chunk_of_token", "discarded"), _WHOLE),
    **dict.fromkeys(("thought_endings", "thoughts"), _TEXT),
    "logprobs": ((float, int, str), "a number"),
}
_PHASE_OF = {phase.name[0]: phase for phase in Phase}
_MOST = 2**31 - 1  # token id, chunk or count


@dataclass(frozen=True)
class Rollout:
    """One trajectory over T tokens and C chunks.

    Attributes:
        episode_id: The episode's id.
        prompt_length: Number of leading READ tokens that form the prompt in TRL's sense.
        token_ids: All tokens, given and sampled. (T)
        phases: Phase of each token; READ for every token that was not sampled, forced markers included. (T)
        chunk_of_token: -1 for the prompt, k for chunk k and its thought, C for the transition and the deep part. (T)
        thought_endings: Ending of each thought; empty in read-then-think. (C)
        ending: Ending of the whole. ANSWERED if and only if the last token is a sampled end of sequence.
        logprobs: Log-probabilities under the temperature-scaled sampling policy, 0 for READ; None if not recorded. (T)
        thoughts: Words of each thought, without markers. (C)
        deep: Words of the deep reasoning; raw, so a malformed rollout may hold a marker here.
        answer: The text behind ``reasoning_end``, raw likewise; None without ``reasoning_end``. Of a chat model, from the
            sentence that states the answer's value on; None where no value can be read (``core.deep_parts``).
        answer_tokens: DEEP tokens up to the end of the answer's value; all DEEP tokens without a value.
        reasoning_tokens: DEEP tokens before the answer; None without an answer, or where it was not recorded.
        discarded: DEEP tokens of the rollouts on the first 1 to C - 1 chunks, each in full, of which speculation throws away
            what it has written until the next chunk arrives (C - 1); empty in every other mode.
    """

    episode_id: str
    prompt_length: int
    token_ids: tuple[int, ...]
    phases: tuple[Phase, ...]
    chunk_of_token: tuple[int, ...]
    thought_endings: tuple[Ending, ...]
    ending: Ending
    logprobs: tuple[float, ...] | None
    thoughts: tuple[str, ...]
    deep: str
    answer: str | None
    answer_tokens: int
    reasoning_tokens: int | None = None
    discarded: tuple[int, ...] = ()

    def tokens_in(self, phase: Phase) -> int:
        """Number of tokens of one phase."""
        return self.phases.count(phase)

    def thought_tokens(self) -> tuple[int, ...]:
        """Sampled tokens of each thought (C)."""
        counts = [0] * len(self.thought_endings)
        for phase, chunk in zip(self.phases, self.chunk_of_token, strict=True):
            if phase is Phase.STREAM:
                counts[chunk] += 1
        return tuple(counts)

    @property
    def reads_beside(self) -> bool:
        """Whether the input lies in the prompt (parallel layout), so that reading never waits for a thought."""
        return self.chunk_of_token[self.prompt_length - 1] >= 0

    @property
    def skip_rate(self) -> float:
        """Share of chunks with a skip in place of a thought; 0 without thoughts."""
        if not self.thought_endings:
            return 0.0
        return self.thought_endings.count(Ending.SKIP) / len(self.thought_endings)


def to_record(rollout: Rollout) -> dict[str, object]:
    """A JSON-ready record: phases as one letter a token, log-probabilities to six digits (``core.json_numbers``)."""
    logprobs = rollout.logprobs
    return {
        "episode_id": rollout.episode_id,
        "ending": rollout.ending.value,
        "thought_endings": [ending.value for ending in rollout.thought_endings],
        "thoughts": rollout.thoughts,
        "deep": rollout.deep,
        "answer": rollout.answer,
        "answer_tokens": rollout.answer_tokens,
        "reasoning_tokens": rollout.reasoning_tokens,
        **({"discarded": rollout.discarded} if rollout.discarded else {}),
        "prompt_length": rollout.prompt_length,
        "token_ids": rollout.token_ids,
        "phases": "".join(phase.name[0] for phase in rollout.phases),
        "chunk_of_token": rollout.chunk_of_token,
        "logprobs": logprobs and plain_numbers([round(value, 6) for value in logprobs]),
    }


def from_record(record: object) -> Rollout:
    """The rollout of ``to_record``; a KeyError or ValueError names the missing or wrong part."""
    if not isinstance(record, dict):
        raise ValueError(f"got a JSON {type(record).__name__}; expected an object.")
    data: dict[str, Any] = {}
    for entry in dataclasses.fields(Rollout):
        if entry.name not in record and entry.default is not dataclasses.MISSING:
            continue
        data[entry.name] = _typed(entry.name, record[entry.name])
    data["phases"] = tuple(map(_PHASE_OF.__getitem__, data["phases"]))
    data["thought_endings"] = tuple(map(Ending, data["thought_endings"]))
    data["logprobs"] = data["logprobs"] and tuple(map(number, data["logprobs"]))
    rollout = Rollout(**{**data, "ending": Ending(data["ending"])})
    _check_lengths(rollout)
    _check_numbers(rollout)
    return rollout


def _typed(name: str, value: Any) -> Any:
    """A value of a record, a list as a tuple."""
    if value is None and name == "logprobs":
        return None
    if name in _SINGLE:
        kinds, words = _SINGLE[name]
        if type(value) not in kinds:
            raise ValueError(f"{name}: got {value!r:.80}; expected {words}.")
        return value
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: got {value!r:.80}; expected a list.")
    kinds, words = _LISTS[name]
    if not set(kinds).issuperset(map(type, value)):
        wrong = next(i for i, item in enumerate(value) if type(item) not in kinds)
        raise ValueError(f"{name}[{wrong}]: got {value[wrong]!r:.80}; expected {words}.")
    return tuple(value)


def _check_lengths(rollout: Rollout) -> None:
    tokens, thoughts = len(rollout.token_ids), len(rollout.thought_endings)
    for name, expected, other in (
        ("phases", tokens, "token_ids"),
        ("chunk_of_token", tokens, "token_ids"),
        ("logprobs", tokens, "token_ids"),
        ("thoughts", thoughts, "thought_endings"),
    ):
        values = vars(rollout)[name]
        if values is not None and len(values) != expected:
            raise ValueError(f"{name}: got {len(values)}; expected {expected}, as many as {other}.")


def _check_numbers(rollout: Rollout) -> None:
    """Refuse counts and places that no rollout can have."""
    tokens, deep = len(rollout.token_ids), rollout.tokens_in(Phase.DEEP)
    pairs = zip(rollout.phases, rollout.chunk_of_token, strict=True)
    thinking = [chunk for phase, chunk in pairs if phase is Phase.STREAM]
    reasoning = rollout.reasoning_tokens
    for name, values, low, high in (
        ("token_ids", rollout.token_ids, 0, _MOST),
        ("chunk_of_token", rollout.chunk_of_token, -1, _MOST),
        ("chunk_of_token, of a thought", thinking, 0, len(rollout.thought_endings) - 1),
        ("prompt_length", (rollout.prompt_length,), 1, tokens),
        ("answer_tokens", (rollout.answer_tokens,), 0, deep),
        ("reasoning_tokens", () if reasoning is None else (reasoning,), 0, deep),
        ("discarded", rollout.discarded, 0, _MOST),
    ):
        for value in (min(values), max(values)) if values else ():
            if not low <= value <= high:
                raise ValueError(f"{name}: got {value}; expected {low} to {high}.")
    if any(rollout.phases[: rollout.prompt_length]):
        raise ValueError(
            f"prompt_length: got {rollout.prompt_length}; expected given tokens alone (phase R) up to there."
        )
    if (
        rollout.ending in (Ending.THOUGHT, Ending.SKIP)
        or Ending.ANSWERED in rollout.thought_endings
    ):
        raise ValueError("ending: got that of a thought for the whole, or the other way round.")
