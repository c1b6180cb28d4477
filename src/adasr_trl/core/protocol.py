"""Grammar of a streamed episode: phases, markers, and the ending of a segment.

The model reads chunks and writes segments. After each chunk: a thought and ``thought_end``, or the marker ``skip``. After
the last chunk, the deep part: reasoning, ``reasoning_end``, the answer, and the tokenizer's end-of-sequence token.

    >>> thought_ending(" Tom 5 + 3 = 8<EOT>", Markers())
    <Ending.THOUGHT: 'thought'>
    >>> thought_ending(" Tom 5 + 3 =", Markers()) is None  # still being written
    True

Only the model's own text is parsed here. Token ids, caps and sampling belong to the engines. Source: StreamingThinker
(arXiv 2510.17238) for the markers, AdaSR (arXiv 2606.14694) for ``<skip>``. ``stream_end``, the sign that nothing more
will arrive, is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Phase(IntEnum):
    """Part of a token: given to the model, streaming thought, or deep reasoning with the answer."""

    READ = 0
    STREAM = 1
    DEEP = 2


class Ending(Enum):
    """Ending of a thought (all but ANSWERED) or of a rollout (the last three)."""

    THOUGHT = "thought"
    SKIP = "skip"
    ANSWERED = "answered"
    OUT_OF_TOKENS = "out_of_tokens"
    MALFORMED = "malformed"


class Mode(Enum):
    """Thinking while the input arrives, or after all of it (``READ_THEN_THINK``, the baseline).

    Two ablations of a streaming model (our choice): ``FORCED_SKIP`` gives the skip marker after each chunk and leaves all
    thinking to the deep part. ``NO_DEEP`` gives ``reasoning_end`` behind the last thought: the answer rests on the
    thoughts alone. Given markers are READ.

    Two further baselines (our choice): ``PREFILL_ONLY`` reads all of the input and is given ``reasoning_end`` at once, so it
    answers without any thought. ``SPECULATIVE`` is read-then-think that begins its answer anew after each chunk and
    throws it away when the next one arrives.

    ``ZERO_SHOT`` is zero-shot chain of thought of a pretrained chat model, without any training (Kojima et al. 2022,
    arXiv 2205.11916): its own chat template around all of the input, and free text without markers.
    """

    STREAMING = "streaming"
    READ_THEN_THINK = "read_then_think"
    FORCED_SKIP = "forced_skip"
    NO_DEEP = "no_deep"
    PREFILL_ONLY = "prefill_only"
    SPECULATIVE = "speculative"
    ZERO_SHOT = "zero_shot"

    @property
    def reads_first(self) -> bool:
        """Whether no thought stands between the chunks, nor anything given in place of one."""
        return self in (
            Mode.READ_THEN_THINK, Mode.PREFILL_ONLY, Mode.SPECULATIVE, Mode.ZERO_SHOT,
        )  # fmt: skip

    @property
    def thinks_while_reading(self) -> bool:
        """Whether the model writes thoughts between the chunks."""
        return self in (Mode.STREAMING, Mode.NO_DEEP)

    @property
    def answers_at_once(self) -> bool:
        """Whether the end of the reasoning is given, so that the deep part is the answer alone."""
        return self in (Mode.NO_DEEP, Mode.PREFILL_ONLY)


RL_MODES = (Mode.STREAMING, Mode.READ_THEN_THINK)  # of reinforcement learning
# Of supervised fine-tuning; the others are only measured.
TAUGHT_MODES = (*RL_MODES, Mode.PREFILL_ONLY)
ROLES = ("chunk_end", "thought_end", "skip", "stream_end", "reasoning_end")


@dataclass(frozen=True)
class Markers:
    """The string of each role. Any plain text is allowed; no string may contain another.

    Attributes:
        chunk_end: End of a chunk of the input.
        thought_end: End of a thought.
        skip: In place of a thought.
        stream_end: End of the input, where the deep part begins.
        reasoning_end: End of the deep reasoning, where the answer begins.
        add_tokens: Add a token to the vocabulary for each missing marker. An adapter then carries embedding rows, which vLLM
            and llama.cpp do not load.
    """

    chunk_end: str = "<EOS>"
    thought_end: str = "<EOT>"
    skip: str = "<skip>"
    stream_end: str = "<EOI>"
    reasoning_end: str = "<EOR>"
    add_tokens: bool = False

    def __post_init__(self) -> None:
        """Refuse blank markers, and one marker inside another (ValueError)."""
        table: dict[str, str] = {role: vars(self)[role] for role in ROLES}
        for role, text in table.items():
            if not text or text != text.strip():
                raise ValueError(
                    f"markers.{role}: got {text!r}; expected text that is not empty and has no white "
                    f"space at its edges."
                )
            for other, longer in table.items():
                if other != role and text in longer:
                    raise ValueError(
                        f"markers.{role}: {text!r} is part of markers.{other} ({longer!r}); give each "
                        f"role a string that contains no other."
                    )

    def all(self) -> tuple[str, ...]:
        """Every marker string, in the order of the fields."""
        return tuple(vars(self)[role] for role in ROLES)


def first_marker(text: str, markers: Markers) -> tuple[str, int] | None:
    """The first marker in ``text`` and its start, or None."""
    starts = [(text.find(marker), marker) for marker in markers.all() if marker in text]
    if not starts:
        return None
    start, marker = min(starts)
    return marker, start


def thought_ending(text: str, markers: Markers, *, eos: bool = False) -> Ending | None:
    r"""Ending of the thought ``text``, or None while it is still being written.

    ``text`` is all since the chunk, decoded; ``eos`` tells of an end-of-sequence token, which no thought may contain. Call
    it after every token: a marker then ends inside the last token. A merge across the marker's edge may leave white space
    behind it (``<EOT>\n`` as one token); any other text there is malformed.
    """
    first = first_marker(text, markers)
    if first is None:
        return Ending.MALFORMED if eos else None
    marker, start = first
    body, rest = text[:start].strip(), text[start + len(marker) :].strip()
    if rest or eos:
        return Ending.MALFORMED
    if marker == markers.thought_end:
        return Ending.THOUGHT if body else Ending.MALFORMED
    if marker == markers.skip:
        return Ending.MALFORMED if body else Ending.SKIP
    return Ending.MALFORMED


def thought_text(text: str, markers: Markers) -> str:
    """The words before the first marker of ``text``, edges stripped."""
    first = first_marker(text, markers)
    return (text if first is None else text[: first[1]]).strip()


def without_partial_marker(text: str, markers: Markers) -> str:
    """The words of ``text`` that no further token can take back: without what may become a marker or a character."""
    words = text if (first := first_marker(text, markers)) is None else text[: first[1]]
    words = words.rstrip("\ufffd")  # part of a character
    longest = max(map(len, markers.all()))
    for length in range(min(longest, len(words)), 0, -1):
        if any(marker.startswith(words[-length:]) for marker in markers.all()):
            words = words[:-length]
            break
    return words.strip()


def deep_ending(text: str, markers: Markers, *, eos: bool = False) -> Ending | None:
    """Ending of the deep part ``text``, or None while it is still being written.

    ANSWERED requires exactly one ``reasoning_end``, an answer behind it, and a sampled end of sequence.
    """
    reasoning, separator, answer = text.partition(markers.reasoning_end)
    if first_marker(reasoning, markers) or first_marker(answer, markers):
        return Ending.MALFORMED
    if not eos:
        return None
    return Ending.ANSWERED if separator and answer.strip() else Ending.MALFORMED
