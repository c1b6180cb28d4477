"""The interleaved layout: prompt, chunk, thought, chunk, thought ..., deep part; ordinary causal attention.

    <prompt> Tom has 5 apples.<EOS> Tom 5<EOT> He buys 3.<EOS> Tom 5 + 3 = 8<EOT><EOI> ...<EOR> 8<eos>

Any engine can serve it. Each chunk is tokenised alone, so its ids are the same in SFT, rollouts and live use.
Read-then-think uses the same order with every thought moved into the deep part.
"""

from __future__ import annotations

from adasr_trl.codec import Codec
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.episode import Episode
from adasr_trl.files import UserError
from adasr_trl.layouts.base import Encoded, Turn, check_trace
from adasr_trl.protocol import Mode, Phase


class Interleaved:
    """One causal sequence; see the module."""

    def __init__(self, streaming: StreamingConfig, codec: Codec) -> None:
        """Keep what turns text into ids."""
        self._streaming = streaming
        self._codec = codec

    def turns(self, episode: Episode, mode: Mode) -> tuple[Turn, ...]:
        """Prompt, one turn a chunk, and the transition to the deep part."""
        writes = Phase.STREAM if mode is Mode.STREAMING else Phase.READ
        chunk_end = self._codec.marker("chunk_end")
        prompt = self._codec.prompt(episode.question, self._streaming.instruction)
        turns = [Turn(prompt, -1, Phase.READ)]
        for k, chunk in enumerate(episode.chunks):
            turns.append(Turn(self._codec.encode_data(chunk) + chunk_end, k, writes))
        turns.append(Turn(self._codec.marker("stream_end"), len(episode.chunks), Phase.DEEP))
        given = sum(len(turn.token_ids) for turn in turns)
        if given > self._streaming.max_prompt_tokens:
            raise UserError(
                f"episode {episode.id!r}: its question and input have {given} tokens, more than "
                f"streaming.max_prompt_tokens = {self._streaming.max_prompt_tokens}; raise it or drop the episode."
            )
        return tuple(turns)

    def encode(self, episode: Episode, mode: Mode) -> Encoded:
        """The teacher's trajectory."""
        check_trace(episode, self._codec.markers)
        token_ids: list[int] = []
        phases: list[Phase] = []
        chunks: list[int] = []
        turns = self.turns(episode, mode)
        for turn in turns:
            written = self._written(episode, turn, mode)
            token_ids += turn.token_ids + written
            phases += [Phase.READ] * len(turn.token_ids) + [turn.writes] * len(written)
            chunks += [turn.chunk] * (len(turn.token_ids) + len(written))
        return Encoded(tuple(token_ids), tuple(phases), tuple(chunks), len(turns[0].token_ids))

    def forced_end(self, phase: Phase) -> tuple[int, ...]:
        """The marker that the segment should have ended with."""
        return self._codec.marker("thought_end" if phase is Phase.STREAM else "reasoning_end")

    def _written(self, episode: Episode, turn: Turn, mode: Mode) -> tuple[int, ...]:
        thoughts, deep = episode.thoughts or (), episode.deep or ""
        if turn.writes is Phase.STREAM:
            words = thoughts[turn.chunk].strip()
            if not words:
                return self._codec.marker("skip")
            return self._codec.encode_text(words) + self._codec.marker("thought_end")
        if turn.writes is Phase.DEEP:
            if mode is Mode.READ_THEN_THINK:
                deep = " ".join(part for part in (*thoughts, deep) if part.strip())
            return (
                self._codec.encode_text(deep.strip())
                + self._codec.marker("reasoning_end")
                + self._codec.encode_text(episode.answer.strip())
                + (self._codec.eos_id,)
            )
        return ()
