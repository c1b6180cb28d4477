"""The parallel layout: the input in one stream, the written tokens in another, so that the model reads while it thinks.

    source   <user> How many? Tom has 5 apples.<EOS> He buys 3.<EOS><EOI>
    target   <assistant> Tom 5<EOT> Tom 5 + 3 = 8<EOT> ...<EOR> 8<eos>

StreamingThinker's and AdaSR's own layout. Source tokens see source only; a thought sees the source up to its own chunk,
and all of the target before it; each stream counts its own positions (``visibility``). So the input is encoded whenever
it arrives, never waiting for a thought, and only once for a whole group. In TRL's terms the source is the prompt and
the target the completion.

Our choice, not specified in the papers: the chat template's text behind the question (the end of the user's turn, and
the assistant's header) opens the target and sees the question. ``<EOI>`` ends the source; only the deep part sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

from adasr_trl.core.protocol import Phase
from adasr_trl.layouts.base import Layout, Stream, Trajectory, Turn
from adasr_trl.layouts.visibility import source_visibility


class Parallel(Layout):
    """Two streams; see the module."""

    def opening(self, question: str) -> tuple[Turn, Turn]:
        """The question, and the header of the target, which sees it."""
        asked, header = self._codec.prompt_parts(question, self._streaming.instruction)
        header = header or self._codec.encode_data("\n")  # the target needs a token to begin with
        return (
            Turn(asked, -1, Phase.READ),
            Turn(header, -1, Phase.READ, Stream.TARGET, len(asked)),
        )

    def arrival(self, chunk: str, k: int, read: int) -> tuple[Turn, Turn]:
        """The chunk, and the thought that sees it."""
        ids = self._codec.encode_chunk(chunk, k)
        thought = Turn((), k, Phase.STREAM, Stream.TARGET, read + len(ids))
        return Turn(ids, k, Phase.READ), thought

    def closing(self, count: int, read: int) -> tuple[Turn, Turn]:
        """The end of the source, and the deep part, which sees all of it."""
        ids = self._codec.marker("stream_end")
        deep = Turn((), count, Phase.DEEP, Stream.TARGET, read + len(ids))
        return Turn(ids, count, Phase.READ), deep

    def prompt_length(self, turns: Sequence[Turn]) -> int:
        """The whole source."""
        return sum(len(turn.token_ids) for turn in turns if turn.stream is Stream.SOURCE)

    def visibility(self, trajectory: Trajectory) -> tuple[int, ...]:
        """Streaming attention."""
        fed = self._streaming.boundary == "fed"
        return source_visibility(trajectory.prompt_length, trajectory.chunk_of_token, fed=fed)
