"""Which tokens of a rollout decide, read off the tokens themselves."""

from __future__ import annotations

from adasr_trl.core.protocol import Ending, Phase
from adasr_trl.hrpo.boundary_tokens import boundary_tokens
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec
from support.scripted import write
from support.settings import STREAMING


def deciding(rollout, codec, phase, chunk):
    """The segment's text, with the tokens that decide in brackets."""
    found = boundary_tokens(rollout, codec)
    columns = zip(rollout.token_ids, rollout.phases, rollout.chunk_of_token, found, strict=True)
    own = [(codec.decode([i]), bold) for i, p, c, bold in columns if p is phase and c == chunk]
    return "".join(f"[{text}]" if bold else text for text, bold in own)


def test_a_thoughts_first_token_and_its_end_marker_decide(parts, episodes):
    episode = next(e for e in episodes if len(e.chunks) >= 2)
    thoughts = ["Tom 5 + 3", *[""] * (len(episode.chunks) - 1)]
    rollout = write(episode, parts, thoughts, "Tom 5", "8")
    assert deciding(rollout, parts[0], Phase.STREAM, 0) == "[ Tom] 5 + 3[<EOT>]"
    assert deciding(rollout, parts[0], Phase.STREAM, 1) == "[<skip>]"
    eos = parts[0].decode([parts[0].eos_id])
    last = len(episode.chunks)
    assert deciding(rollout, parts[0], Phase.DEEP, last) == f"[ Tom] 5[<EOR>] 8[{eos}]"


def test_a_segment_that_was_cut_off_has_only_its_beginning(parts, episodes):
    episode = episodes[0]
    thoughts = ["so " * 20, *[""] * (len(episode.chunks) - 1)]
    rollout = write(episode, parts, thoughts, "so " * 40, "8")
    assert rollout.thought_endings[0] is Ending.OUT_OF_TOKENS
    assert deciding(rollout, parts[0], Phase.STREAM, 0).count("[") == 1
    assert deciding(rollout, parts[0], Phase.DEEP, len(episode.chunks)).count("[") == 1


def test_given_tokens_never_decide(parts, episodes):
    rollout = write(episodes[0], parts, ["so " * 20] * len(episodes[0].chunks), "", "8")
    found = boundary_tokens(rollout, parts[0])
    assert not any(b for b, p in zip(found, rollout.phases, strict=True) if p is Phase.READ)


def test_a_marker_of_several_tokens_decides_with_all_of_them(episodes):
    """Plain-text markers on a tokenizer that never saw them are bytes."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import ByteLevel
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: n for n, piece in enumerate(["<eos>", *alphabet])}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = ByteLevel()
    codec = Codec(
        PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<eos>"), STREAMING.markers
    )
    streaming = STREAMING.__class__(max_thought_tokens=40, max_deep_tokens=60)
    episode = episodes[0]
    parts = (codec, build_layout(streaming, codec), streaming)
    thoughts = ["5", *[""] * (len(episode.chunks) - 1)]
    rollout = write(episode, parts, thoughts, "7", "8")
    end = "".join(f"[{c}]" for c in "<EOT>")
    assert deciding(rollout, codec, Phase.STREAM, 0) == f"[ ]5{end}"
    end = "".join(f"[{c}]" for c in "<EOR>")
    assert deciding(rollout, codec, Phase.DEEP, len(episode.chunks)) == f"[ ]7{end} 8[<eos>]"
