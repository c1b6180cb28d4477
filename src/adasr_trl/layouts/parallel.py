"""The parallel layout: the input in one stream, what the model writes in another, so that it reads while it thinks.

    source   <user> How many? Tom has 5 apples.<EOS> He buys 3.<EOS><EOI>
    target   <assistant> Tom 5<EOT> Tom 5 + 3 = 8<EOT> ...<EOR> 8<eos>

StreamingThinker's and AdaSR's own layout: source tokens see source only, a thought sees the source up to its own
chunk and all of the target before it, and each stream counts its own positions. So the input is encoded whenever it
arrives, never waiting for a thought, and only once for a whole group. In TRL's terms the source is the prompt and the
target the completion. Who sees what exactly is in ``views``. Ours: what the chat template puts behind
the question (the end of the user's turn, and the header of the assistant's) opens the target and sees the question;
``<EOI>`` ends the source and is seen by the deep part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adasr_trl.core.episode import Episode
from adasr_trl.core.protocol import Mode, Phase
from adasr_trl.layouts.base import Layout, Stream, Trajectory, Turn
from adasr_trl.layouts.views import views_of


class Parallel(Layout):
    """Two streams; see the module."""

    def turns(self, episode: Episode, mode: Mode) -> tuple[Turn, ...]:
        """The source chunk by chunk, the header, then a turn without tokens for each thought and the deep part.

        A live stream has the same turns in the order in which they happen.
        """
        question, header = self.opening(episode.question)
        source, thoughts, read = [question], [], len(question.token_ids)
        for k, chunk in enumerate(episode.chunks):
            arrived, thought = self.arrival(chunk, k, read)
            source.append(arrived)
            thoughts.append(thought)
            read = thought.sees
        end, deep = self.closing(len(episode.chunks), read)
        if mode is Mode.READ_THEN_THINK:  # written when all was read, the header too
            thoughts, header = [], replace(header, chunk=deep.chunk, sees=deep.sees)
        elif mode is Mode.FORCED_SKIP:
            thoughts = [self._skipped(thought) for thought in thoughts]
        elif mode is Mode.NO_DEEP:
            deep = self._answering(deep)
        turns = (*source, end, header, *thoughts, deep)
        self._check_length(turns, episode)
        return turns

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
        ids = self._codec.encode_data(chunk) + self._codec.marker("chunk_end")
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

    def views(self, trajectory: Trajectory) -> tuple[int, ...]:
        """Streaming attention."""
        fed = self._streaming.boundary == "fed"
        return views_of(trajectory.prompt_length, trajectory.chunk_of_token, fed=fed)
