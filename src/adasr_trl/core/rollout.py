"""Rollout: one sampled trajectory as token ids with phases, and the ending of each part.

    >>> rollout.tokens_in(Phase.STREAM), rollout.ending
    (31, <Ending.ANSWERED: 'answered'>)

Rewards, metrics, the clock and the reports read this object, never decoded text with markers stripped.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from adasr_trl.core.protocol import Ending, Phase


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
    """A JSON-ready record: phases as one letter a token, log-probabilities to six digits."""
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
        "logprobs": None if logprobs is None else [round(value, 6) for value in logprobs],
    }


def from_record(record: dict[str, object]) -> Rollout:
    """The rollout of ``to_record``; a KeyError or ValueError names the missing or wrong part."""
    data: dict[str, Any] = {}
    for entry in dataclasses.fields(Rollout):
        if entry.name not in record and entry.default is not dataclasses.MISSING:
            continue
        value = record[entry.name]
        data[entry.name] = tuple(value) if isinstance(value, list) else value
    phase_of = {phase.name[0]: phase for phase in Phase}
    data["phases"] = tuple(phase_of[letter] for letter in data["phases"])
    data["thought_endings"] = tuple(Ending(value) for value in data["thought_endings"])
    return Rollout(**{**data, "ending": Ending(data["ending"])})
