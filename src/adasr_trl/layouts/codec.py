"""Text to token ids and back: data never yields a control token, and markers are found wherever they merge.

    >>> codec = Codec(tokenizer, Markers())
    >>> codec.encode_data("Say <EOT> aloud.")   # plain text, even where the vocabulary holds <EOT>
    >>> codec.encode_text(" Tom 8") + codec.marker("thought_end")

Chat templates render the prompt alone, once, around the question; no trajectory is ever rendered again.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from adasr_trl.core.chunking import chunk_as_read, text_as_read
from adasr_trl.core.deep_parts import opens_thinking
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import ROLES, Ending, Markers, deep_ending, thought_ending

_QUESTION = "QUESTIONGOESHERE"  # stands for the question while the template is rendered
_ANSWER = "ANSWERGOESHERE"  # stands for the model's own turn


class TemplateError(UserError):
    """A chat template that cannot render a prompt on its own."""


class ThinkingError(TemplateError):
    """A template without ``enable_thinking``, in a run that sets it."""


class MarkerError(UserError):
    """A marker that would not be found again in written text; ``role`` is its setting."""

    def __init__(self, role: str, message: str) -> None:
        """Blame ``streaming.markers.ROLE``."""
        super().__init__(f"streaming.markers.{role}: {message}; choose another string.")
        self.role = role


class Codec:
    """A tokenizer with the run's markers."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        markers: Markers,
        thinking: bool | None = None,
        end_ids: frozenset[int] = frozenset(),
    ) -> None:
        """Tokenize the markers once.

        Args:
            tokenizer: A fast tokenizer with an end-of-sequence token.
            markers: The string of each role.
            thinking: ``enable_thinking`` for the chat template; None leaves it to the template.
            end_ids: Further tokens that end a chat model's turn, such as those of its generation_config.json.
        """
        if tokenizer.eos_token_id is None:
            raise ValueError(f"{tokenizer.name_or_path}: the tokenizer has no eos_token; set one.")
        self.tokenizer = tokenizer
        self.markers = markers
        self._thinking = thinking
        self._further_end_ids = end_ids
        self.eos_id: int = tokenizer.eos_token_id
        self._ends_marker: dict[int, bool] = {}
        self._marker_ids = {
            role: tuple(self._ids(getattr(markers, role), split_special_tokens=False))
            for role in ROLES
        }

    def marker(self, role: str) -> tuple[int, ...]:
        """The ids of a role's marker, such as ``thought_end``."""
        return self._marker_ids[role]

    def encode_data(self, text: str) -> tuple[int, ...]:
        """Ids of untrusted text: no id among them is an added (control) token."""
        ids = self._ids(text, split_special_tokens=True)
        if self._added_ids.isdisjoint(ids):
            return tuple(ids)
        # Only special tokens are split by the tokenizer. Others, such as Qwen3's </think>, are
        # broken here behind their first character.
        for added in self.tokenizer.get_added_vocab():
            cut = text.find(added) + 1
            if cut > 0 and len(added) > 1:
                return self.encode_data(text[:cut]) + self.encode_data(text[cut:])
        raise UserError(f"{self._name}: {self._unread(text)}; use a tokenizer that has bytes.")

    def _unread(self, text: str) -> str:
        """Why a text has no ids of its own, in words."""
        unknown, name = self.tokenizer.unk_token_id, self.tokenizer.unk_token
        for word in re.findall(r"\s+|\S+", text):
            if unknown is not None and unknown in self._ids(word, split_special_tokens=True):
                return f"it has no token for a part of {word[:80]!r}, which would be read as {name}"
        return f"it turns data into control tokens ({text[:80]!r})"

    def encode_chunk(self, chunk: str, k: int) -> tuple[int, ...]:
        """The k-th chunk of an input as data, with its end marker; white space by ``chunk_as_read``."""
        return self.encode_data(chunk_as_read(chunk, is_first=k == 0)) + self.marker("chunk_end")

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Ids of words for the model to write, set off by a space from the text before."""
        return self.encode_data(" " + text) if text else ()

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, control tokens included."""
        options = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        return str(self.tokenizer.decode(list(ids), **options))

    def tokens_until(self, ids: Sequence[int], length: int) -> int:
        """Number of leading ids that write ``length`` characters; at least 1, at most all."""
        return 1 + bisect_left(range(1, len(ids)), length, key=lambda n: len(self.decode(ids[:n])))

    def check_markers(self) -> None:
        """Try each marker on this tokenizer.

        Raises:
            MarkerError: It is not read back as written, holds the end of sequence, or data could yield its token.
        """
        words = self.encode_text("Tom 8")
        for role in ROLES:
            text, ids = getattr(self.markers, role), self.marker(role)
            decoded = self.decode(words + ids)
            if not decoded.endswith(text):
                raise MarkerError(role, f"{text!r} behind a word is read back as {decoded!r}")
            if self.eos_id in ids:
                raise MarkerError(role, f"{text!r} holds the tokenizer's end of sequence")
            if not self._added_ids.isdisjoint(self.encode_data(f"Tom{text}8")):
                raise MarkerError(role, f"{text!r} in data would be read as a control token")
        for role in ("thought_end", "skip", "reasoning_end"):
            ending_of = deep_ending if role == "reasoning_end" else thought_ending
            decoded = self.decode((() if role == "skip" else words) + self.marker(role))
            if ending_of(decoded, self.markers) is Ending.MALFORMED:
                raise MarkerError(role, f"{decoded!r} is not taken for its end")

    def added_marker_ids(self) -> list[int]:
        """The markers that are added tokens of the vocabulary."""
        single = {ids[0] for ids in self._marker_ids.values() if len(ids) == 1}
        return sorted(single & self._added_ids)

    def may_end_marker(self, token_id: int) -> bool:
        """Whether a marker could end inside this token: a cheap filter before the text is decoded."""
        known = self._ends_marker.get(token_id)
        if known is None:
            last = {marker[-1] for marker in self.markers.all()} | {"\ufffd"}  # part of a character
            known = self._ends_marker[token_id] = not last.isdisjoint(self.decode([token_id]))
        return known

    def prompt(self, question: str, instruction: str = "") -> tuple[int, ...]:
        """The chat template's ids around the question; the question itself is data."""
        asked, header = self.prompt_parts(question, instruction)
        return asked + header

    def prompt_parts(
        self, question: str, instruction: str = ""
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The prompt in two: ids up to the question's end, and those that open the model's own turn."""
        asked = text_as_read(question)
        words = f"{instruction}\n{asked}" if instruction else asked
        before, ids, after = self.message_parts(words)
        return before + ids, after

    def message_parts(
        self, message: str
    ) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """A user message as data, with the chat template's ids before and behind it."""
        before, after = self._template
        return before, self.encode_data(message), after

    @cached_property
    def turn_end_ids(self) -> frozenset[int]:
        """Tokens that end a chat model's turn: end of sequence, those given, and what its template writes behind a turn.

        The last one is not always the tokenizer's end of sequence (Gemma's is ``<end_of_turn>``), nor named in
        generation_config.json.
        """
        ends = {self.eos_id, *self._further_end_ids}
        ids = self._ids(self._turns_of_both()[1].lstrip(), split_special_tokens=False)
        return frozenset(ends | (self._added_ids & set(ids[:1])))

    @cached_property
    def opens_thinking(self) -> bool:
        """Whether the prompt ends inside thinking tags, which the model then only closes."""
        return opens_thinking(self.decode(self._template[1]))

    def check_chat_template(self) -> None:
        """Refuse a tokenizer that cannot put a question to a chat model (TemplateError)."""
        if self.tokenizer.chat_template is None:
            raise TemplateError(
                f"{self._name}: has no chat template, which zero_shot asks through; "
                f"name a chat model (often called Instruct or Chat)."
            )
        given = self._rendered(self._thinking).partition(_QUESTION)[2]
        closed = self._rendered(self._thinking, is_open=False).partition(_QUESTION)[2]
        expected = self._turns_of_both()[0].rstrip()
        # [INST] ... [/INST] begins the model's turn by itself; ChatML does not.
        if given == closed and expected.startswith(given.rstrip()) and expected != given.rstrip():
            raise TemplateError(
                f"{self._name}: its chat template does not know add_generation_prompt, so the model would go on with the "
                f"user's message; set another chat_template on the tokenizer."
            )

    def _turns_of_both(self) -> tuple[str, str]:
        """What the template writes between a user's message and an answer, and behind it; blank if it renders no answer."""
        turns = [("user", _QUESTION), ("assistant", _ANSWER)]
        try:
            text = self._rendered(self._thinking, turns, is_open=False)
        except TemplateError:
            return "", ""
        between, _, behind = text.partition(_QUESTION)[2].rpartition(_ANSWER)
        return between, behind

    @cached_property
    def _template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids before and after the question."""
        has_template = self.tokenizer.chat_template is not None
        if self._thinking is not None:
            # A template that knows enable_thinking renders something else with it than without it.
            known = has_template and self._rendered(True) != self._rendered(False)
            if not known:
                raise ThinkingError(
                    f"streaming.thinking: got {str(self._thinking).lower()}, but the chat template of {self._name} does not "
                    f"know enable_thinking; remove the setting."
                )
        if not has_template:
            return (), self.encode_data("\n")
        before, question, after = self._rendered(self._thinking).partition(_QUESTION)
        if not question or _QUESTION in after:
            raise TemplateError(
                f"{self._name}: its chat template does not put the user's message into the prompt exactly once; "
                f"set another chat_template on the tokenizer."
            )
        ids = [tuple(self._ids(part, split_special_tokens=False)) for part in (before, after)]
        return ids[0], ids[1]

    def _rendered(
        self,
        thinking: bool | None,
        turns: Sequence[tuple[str, str]] = (("user", _QUESTION),),
        *,
        is_open: bool = True,
    ) -> str:
        """The prompt with ``_QUESTION`` for the question, or other turns; ``is_open`` begins the model's next one."""
        options = {"add_generation_prompt": is_open, "tokenize": False}
        options |= {} if thinking is None else {"enable_thinking": thinking}
        messages = [{"role": role, "content": content} for role, content in turns]
        try:
            return str(self.tokenizer.apply_chat_template(messages, **options))
        except Exception as error:  # anything that a template written by others may raise
            raise TemplateError(
                f"{self._name}: its chat template cannot render a prompt of one user message ({error}); "
                f"set another chat_template on the tokenizer."
            ) from error

    @property
    def _name(self) -> str:
        return self.tokenizer.name_or_path or "the tokenizer"

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        return frozenset(self.tokenizer.get_added_vocab().values())

    def _ids(self, text: str, *, split_special_tokens: bool) -> list[int]:
        options = {"add_special_tokens": False, "split_special_tokens": split_special_tokens}
        return list(self.tokenizer(text, return_attention_mask=False, **options)["input_ids"])
