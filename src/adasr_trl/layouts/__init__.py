"""How an episode lies in the model's context. ``build_layout`` makes the one that a config names."""

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.layouts.base import Encoded, Layout, Stream, Turn, check_trace
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.interleaved import Interleaved
from adasr_trl.layouts.parallel import Parallel

__all__ = [
    "Encoded",
    "Interleaved",
    "Layout",
    "Parallel",
    "Stream",
    "Turn",
    "build_layout",
    "check_trace",
]


def build_layout(streaming: StreamingConfig, codec: Codec) -> Layout:
    """The layout named by ``streaming.layout``."""
    if streaming.layout == "parallel":
        return Parallel(streaming, codec)
    return Interleaved(streaming, codec)
