"""The grammar of a streamed episode: phases, markers, and how a segment of text ends.

The model reads chunks and writes segments. After each chunk it writes a thought, which ends with
``thought_end``, or the single marker ``skip``. After the last chunk it writes the deep part: reasoning,
``reasoning_end``, the answer, and the tokenizer's end-of-sequence token.

    >>> thought_ending(" Tom 5 + 3 = 8<EOT>", Markers())
    <Ending.THOUGHT: 'thought'>
    >>> thought_ending(" Tom 5 + 3 =", Markers()) is None  # still being written
    True

Only text that the model wrote is parsed here. Token ids, caps and sampling belong to the engines. The markers
are StreamingThinker's (arXiv 2510.17238) and ``<skip>`` is AdaSR's (arXiv 2606.14694); ``stream_end``, which
tells the model that nothing more will arrive, is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Phase(IntEnum):
    """What a token is: given to the model, streaming thought, or deep reasoning with the answer."""

    READ = 0
    STREAM = 1
    DEEP = 2


class Ending(Enum):
    """How a thought ended (the first four but ANSWERED) or a rollout (the last three)."""

    THOUGHT = "thought"
    SKIP = "skip"
    ANSWERED = "answered"
    OUT_OF_TOKENS = "out_of_tokens"
    MALFORMED = "malformed"


class Mode(Enum):
    """How a question is put: think while the input arrives, or read everything first and think then (the baseline).

    The last two take a streaming model's parts away, to see what each is worth (ours): ``FORCED_SKIP`` gives it the skip
    marker after each chunk, so that all thinking is left to the deep part; ``NO_DEEP`` gives it ``reasoning_end`` behind
    the last thought, so that it answers from its thoughts alone. What is given is READ.
    """

    STREAMING = "streaming"
    READ_THEN_THINK = "read_then_think"
    FORCED_SKIP = "forced_skip"
    NO_DEEP = "no_deep"


TAUGHT_MODES = (Mode.STREAMING, Mode.READ_THEN_THINK)  # the others are only measured


ROLES = ("chunk_end", "thought_end", "skip", "stream_end", "reasoning_end")


@dataclass(frozen=True)
class Markers:
    """The string of each role. Any plain text will do; no string may contain another.

    ``add_tokens`` makes each a token of its own where the vocabulary has none: one token a marker, but an adapter then
    carries rows of the embedding, which vLLM and llama.cpp do not load.
    """

    chunk_end: str = "<EOS>"
    thought_end: str = "<EOT>"
    skip: str = "<skip>"
    stream_end: str = "<EOI>"
    reasoning_end: str = "<EOR>"
    add_tokens: bool = False

    def __post_init__(self) -> None:
        """Refuse markers that could not be told apart."""
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
        return (self.chunk_end, self.thought_end, self.skip, self.stream_end, self.reasoning_end)


def first_marker(text: str, markers: Markers) -> tuple[str, int] | None:
    """The marker that starts first in ``text`` and where, or None."""
    found = [(text.find(marker), marker) for marker in markers.all() if marker in text]
    if not found:
        return None
    start, marker = min(found)
    return marker, start


def thought_ending(text: str, markers: Markers, *, eos: bool = False) -> Ending | None:
    r"""How the thought ``text`` ended, or None while it is still being written.

    Call it after every token: a marker then ends inside the last token. A merge across the marker's edge may
    leave white space behind it (``<EOT>\n`` as one token); anything else there is malformed.

    Args:
        text: All that the model wrote since the chunk, decoded.
        markers: The run's markers.
        eos: Whether the last token was the end-of-sequence token, which no thought may contain.
    """
    found = first_marker(text, markers)
    if found is None:
        return Ending.MALFORMED if eos else None
    marker, start = found
    body, rest = text[:start].strip(), text[start + len(marker) :].strip()
    if rest or eos:
        return Ending.MALFORMED
    if marker == markers.thought_end:
        return Ending.THOUGHT if body else Ending.MALFORMED
    if marker == markers.skip:
        return Ending.MALFORMED if body else Ending.SKIP
    return Ending.MALFORMED


def thought_text(text: str, markers: Markers) -> str:
    """The words of a thought: ``text`` up to its first marker, edges stripped."""
    found = first_marker(text, markers)
    return (text if found is None else text[: found[1]]).strip()


def deep_ending(text: str, markers: Markers, *, eos: bool = False) -> Ending | None:
    """How the deep part ``text`` ended, or None while it is still being written.

    ANSWERED needs exactly one ``reasoning_end``, an answer behind it, and a sampled end of sequence.
    """
    reasoning, separator, answer = text.partition(markers.reasoning_end)
    if first_marker(reasoning, markers) or first_marker(answer, markers):
        return Ending.MALFORMED
    if not eos:
        return None
    return Ending.ANSWERED if separator and answer.strip() else Ending.MALFORMED


def split_deep(text: str, markers: Markers) -> tuple[str, str | None]:
    """The deep part as (reasoning, answer); the answer is None before ``reasoning_end`` was written."""
    reasoning, separator, answer = text.partition(markers.reasoning_end)
    return reasoning.strip(), answer.strip() if separator else None
