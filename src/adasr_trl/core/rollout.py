"""A rollout: one sampled trajectory as token ids with phases, and how each part ended.

    >>> rollout.tokens_in(Phase.STREAM), rollout.ending
    (31, <Ending.ANSWERED: 'answered'>)

Rewards, metrics, the clock and the reports read this object, never decoded text with markers stripped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from adasr_trl.core.protocol import Ending, Phase


@dataclass(frozen=True)
class Rollout:
    """One trajectory over T tokens and C chunks.

    Attributes:
        episode_id: The episode it answers.
        prompt_length: How many leading READ tokens form the prompt in TRL's sense.
        token_ids: All tokens, given and written. (T)
        phases: The phase of each token; READ for all that was not sampled, forced markers included. (T)
        chunk_of_token: The chunk a token belongs to: -1 for the prompt, k for chunk k and its thought, C for the
            transition and the deep part. (T)
        thought_endings: How each thought ended; empty where the layout gives none (read-then-think). (C)
        ending: How the whole ended. ANSWERED if and only if the last token is a sampled end of sequence.
        logprobs: Log-probability of each token under the temperature-scaled policy that sampled it, 0 for READ
            tokens; None where it was not recorded. (T)
        thoughts: The words of each thought, without markers. (C)
        deep: The words of the deep reasoning.
        answer: The text behind ``reasoning_end``, or None if it was never written.
        answer_tokens: DEEP tokens up to the answer's value, at most all of them; all where there is no value.
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

    def tokens_in(self, phase: Phase) -> int:
        """How many tokens are of ``phase``."""
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
        """Whether the input lies in the prompt (parallel layout), so that reading it never waits for a thought."""
        return self.chunk_of_token[self.prompt_length - 1] >= 0

    @property
    def skip_rate(self) -> float:
        """Share of chunks after which the model chose to skip; 0 without thoughts."""
        if not self.thought_endings:
            return 0.0
        return self.thought_endings.count(Ending.SKIP) / len(self.thought_endings)


def to_record(rollout: Rollout) -> dict[str, object]:
    """A JSON-ready record: every token's phase, every ending."""
    return {
        "episode_id": rollout.episode_id,
        "ending": rollout.ending.value,
        "thought_endings": [ending.value for ending in rollout.thought_endings],
        "thoughts": rollout.thoughts,
        "deep": rollout.deep,
        "answer": rollout.answer,
        "answer_tokens": rollout.answer_tokens,
        "prompt_length": rollout.prompt_length,
        "token_ids": rollout.token_ids,
        "phases": "".join(phase.name[0] for phase in rollout.phases),
        "chunk_of_token": rollout.chunk_of_token,
        "logprobs": None if rollout.logprobs is None else [round(x, 6) for x in rollout.logprobs],
    }


def from_record(record: dict[str, object]) -> Rollout:
    """The rollout of ``to_record``; a KeyError or ValueError names what is missing or wrong."""
    data = json.loads(json.dumps(record))
    phase_of = {phase.name[0]: phase for phase in Phase}
    logprobs = data["logprobs"]
    return Rollout(
        episode_id=data["episode_id"],
        prompt_length=data["prompt_length"],
        token_ids=tuple(data["token_ids"]),
        phases=tuple(phase_of[letter] for letter in data["phases"]),
        chunk_of_token=tuple(data["chunk_of_token"]),
        thought_endings=tuple(Ending(value) for value in data["thought_endings"]),
        ending=Ending(data["ending"]),
        logprobs=None if logprobs is None else tuple(logprobs),
        thoughts=tuple(data["thoughts"]),
        deep=data["deep"],
        answer=data["answer"],
        answer_tokens=data["answer_tokens"],
    )
