"""An episode's place in the model's context. ``build_layout`` makes the layout that a configuration names."""

from adasr_trl.config.sections import StreamingConfig
from adasr_trl.layouts.base import Encoded, Layout, Turn, check_markers_in_trace
from adasr_trl.layouts.codec import Codec
from adasr_trl.layouts.interleaved import Interleaved
from adasr_trl.layouts.parallel import Parallel

__all__ = ["Encoded", "Layout", "Turn", "build_layout", "check_markers_in_trace"]


def build_layout(streaming: StreamingConfig, codec: Codec) -> Layout:
    """The layout named by ``streaming.layout``."""
    kind = Parallel if streaming.layout == "parallel" else Interleaved
    return kind(streaming, codec)
