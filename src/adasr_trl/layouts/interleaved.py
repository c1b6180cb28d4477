"""The interleaved layout: prompt, chunk, thought, chunk, thought ..., deep part; ordinary causal attention.

    <prompt> Tom has 5 apples.<EOS> Tom 5<EOT> He buys 3.<EOS> Tom 5 + 3 = 8<EOT><EOI> ...<EOR> 8<eos>

Any engine can serve it. Each chunk is tokenised alone, so its ids are the same in SFT, rollouts and live use.
"""

from __future__ import annotations

from collections.abc import Sequence

from adasr_trl.core.protocol import Phase
from adasr_trl.layouts.base import Layout, Trajectory, Turn


class Interleaved(Layout):
    """One causal sequence; see the module."""

    def opening(self, question: str) -> tuple[Turn, ...]:
        """The prompt."""
        prompt = self._codec.prompt(question, self._streaming.instruction)
        return (Turn(prompt, -1, Phase.READ),)

    def arrival(self, chunk: str, k: int, read: int = 0) -> tuple[Turn, ...]:
        """The chunk, and the thought behind it."""
        del read  # a causal sequence sees everything before it
        ids = self._codec.encode_chunk(chunk, k)
        return (Turn(ids, k, Phase.STREAM),)

    def closing(self, count: int, read: int = 0) -> tuple[Turn, ...]:
        """The transition to the deep part."""
        del read
        return (Turn(self._codec.marker("stream_end"), count, Phase.DEEP),)

    def prompt_length(self, turns: Sequence[Turn]) -> int:
        """The question's tokens."""
        return len(turns[0].token_ids)

    def visibility(self, trajectory: Trajectory) -> None:
        """None: plainly causal."""
        del trajectory
