"""How an episode lies in the model's context. ``build_layout`` makes the one that a config names."""

from adasr_trl.codec import Codec
from adasr_trl.config_sections import StreamingConfig
from adasr_trl.layouts.base import Encoded, Layout, Turn, check_trace
from adasr_trl.layouts.interleaved import Interleaved

__all__ = ["Encoded", "Interleaved", "Layout", "Turn", "build_layout", "check_trace"]


def build_layout(streaming: StreamingConfig, codec: Codec) -> Layout:
    """The layout named by ``streaming.layout``."""
    return {"interleaved": Interleaved}[streaming.layout](streaming, codec)
