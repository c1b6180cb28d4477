"""The parallel layout: the input in one stream, what the model writes in another, so that it reads while it thinks.

    source   <user> How many? Tom has 5 apples.<EOS> He buys 3.<EOS><EOI>
    target   <assistant> Tom 5<EOT> Tom 5 + 3 = 8<EOT> ...<EOR> 8<eos>

StreamingThinker's and AdaSR's own layout: source tokens see source only, a thought sees the source up to its own
chunk and all of the target before it, and each stream counts its own positions. So the input is encoded whenever it
arrives, never waiting for a thought, and only once for a whole group. In TRL's terms the source is the prompt and the
target the completion. Who sees what exactly is in ``views``. Ours: the header that opens the assistant's turn sees the
question; ``<EOI>`` ends the source and is seen by the deep part alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from adasr_trl.codec import Codec
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.episode import Episode
from adasr_trl.layouts.base import (
    Encoded,
    Stream,
    Trajectory,
    Turn,
    check_length,
    check_trace,
    encode_trace,
    forced_end,
)
from adasr_trl.layouts.views import views_of
from adasr_trl.protocol import Mode, Phase


class Parallel:
    """Two streams; see the module."""

    def __init__(self, streaming: StreamingConfig, codec: Codec) -> None:
        """Keep what turns text into ids."""
        self._streaming = streaming
        self._codec = codec

    def turns(self, episode: Episode, mode: Mode) -> tuple[Turn, ...]:
        """The source chunk by chunk, the header, then a turn without tokens for each thought and the deep part."""
        codec, count = self._codec, len(episode.chunks)
        question, header = codec.prompt_parts(episode.question, self._streaming.instruction)
        turns = [Turn(question, -1, Phase.READ)]
        for k, chunk in enumerate(episode.chunks):
            ids = codec.encode_data(chunk) + codec.marker("chunk_end")
            turns.append(Turn(ids, k, Phase.READ))
        turns.append(Turn(codec.marker("stream_end"), count, Phase.READ))
        read = [sum(len(turn.token_ids) for turn in turns[: k + 1]) for k in range(count + 2)]
        turns.append(Turn(header, -1, Phase.READ, Stream.TARGET, read[0]))
        if mode is Mode.STREAMING:
            turns += [Turn((), k, Phase.STREAM, Stream.TARGET, read[k + 1]) for k in range(count)]
        turns.append(Turn((), count, Phase.DEEP, Stream.TARGET, read[-1]))
        check_length(turns, episode, self._streaming)
        return tuple(turns)

    def prompt_length(self, turns: Sequence[Turn]) -> int:
        """The whole source."""
        return sum(len(turn.token_ids) for turn in turns if turn.stream is Stream.SOURCE)

    def encode(self, episode: Episode, mode: Mode) -> Encoded:
        """The teacher's trajectory: the source, then the target."""
        check_trace(episode, self._codec.markers)
        turns = self.turns(episode, mode)
        return encode_trace(turns, self.prompt_length(turns), episode, mode, self._codec)

    def forced_end(self, phase: Phase) -> tuple[int, ...]:
        """The marker that the segment should have ended with."""
        return forced_end(phase, self._codec)

    def views(self, trajectory: Trajectory) -> tuple[int, ...]:
        """Streaming attention."""
        fed = self._streaming.boundary == "fed"
        return views_of(trajectory.prompt_length, trajectory.chunk_of_token, fed=fed)
