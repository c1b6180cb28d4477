"""Text to token ids and back, so that data never yields a control token and markers are found wherever they merge.

    >>> codec = Codec(tokenizer, Markers())
    >>> codec.encode_data("Say <EOT> aloud.")   # plain text, even where the vocabulary holds <EOT>
    >>> codec.encode_text(" Tom 8") + codec.marker("thought_end")

Three kinds of text exist: data (never a control token), what a teacher's trace says (the same), and markers (by
role). Chat templates render the prompt alone, once, around the question; no trajectory is ever rendered again.
"""

from __future__ import annotations

from functools import cached_property

from transformers import PreTrainedTokenizerBase

from adasr_trl.core.chunking import chunk_as_read
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import ROLES, Ending, Markers, deep_ending, thought_ending

_SLOT = "QUESTIONGOESHERE"  # stands for the question while the template is rendered


class TemplateError(UserError):
    """A chat template that cannot render a prompt on its own."""


class ThinkingError(TemplateError):
    """A template that does not know ``enable_thinking``, where the run's settings say what it is to be."""


class MarkerError(UserError):
    """A marker that would not be found again in what the model writes; ``role`` is its setting."""

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
    ) -> None:
        """Tokenize the markers once.

        Args:
            tokenizer: A fast tokenizer with an end-of-sequence token.
            markers: The string of each role.
            thinking: What the chat template's ``enable_thinking`` is; None leaves it to the template.
        """
        if tokenizer.eos_token_id is None:
            raise ValueError(f"{tokenizer.name_or_path}: the tokenizer has no eos_token; set one.")
        self.tokenizer = tokenizer
        self.markers = markers
        self._thinking = thinking
        self.eos_id: int = tokenizer.eos_token_id
        self._marker_ids = {
            role: tuple(self._ids(getattr(markers, role), split_special_tokens=False))
            for role in ROLES
        }

    def marker(self, role: str) -> tuple[int, ...]:
        """The ids of a role's marker, such as ``thought_end``."""
        return self._marker_ids[role]

    def encode_data(self, text: str) -> tuple[int, ...]:
        """Ids of text that is not ours: no id among them is an added (control) token.

        Special tokens are split by the tokenizer; other added tokens (such as Qwen3's ``</think>``) are broken
        behind their first character.
        """
        ids = self._ids(text, split_special_tokens=True)
        if self._added_ids.isdisjoint(ids):
            return tuple(ids)
        for added in self._added_texts:
            start = text.find(added)
            if start >= 0:
                cut = start + 1
                return self.encode_data(text[:cut]) + self.encode_data(text[cut:])
        raise ValueError(f"the tokenizer turns data into control tokens: {text[:80]!r}")

    def encode_chunk(self, chunk: str, k: int) -> tuple[int, ...]:
        """The k-th chunk of an input as data, with its end marker; white space at its borders by ``chunk_as_read``."""
        return self.encode_data(chunk_as_read(chunk, is_first=k == 0)) + self.marker("chunk_end")

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Ids of words that the model is to write, set off from what stands before by a space."""
        return self.encode_data(" " + text) if text else ()

    def decode(self, ids: list[int] | tuple[int, ...]) -> str:
        """Text of ids, control tokens included."""
        return str(
            self.tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def tokens_until(self, ids: list[int] | tuple[int, ...], length: int) -> int:
        """How many of the first ``ids`` it takes to write ``length`` characters; at least 1, at most all of them."""
        low, high = 1, len(ids)
        while low < high:
            middle = (low + high) // 2
            if len(self.decode(ids[:middle])) >= length:
                high = middle
            else:
                low = middle + 1
        return low

    def check_markers(self) -> None:
        """Try each marker on this tokenizer.

        Raises:
            MarkerError: Written, it is not read back; it holds the end of sequence; or data could yield its token.
        """
        for role in ROLES:
            text, ids = getattr(self.markers, role), self.marker(role)
            seen = self.decode(self.encode_text("Tom 8") + ids)
            if not seen.endswith(text):
                raise MarkerError(role, f"{text!r} behind a word is read back as {seen!r}")
            if self.eos_id in ids:
                raise MarkerError(role, f"{text!r} holds the tokenizer's end of sequence")
            if not self._added_ids.isdisjoint(self.encode_data(f"Tom{text}8")):
                raise MarkerError(role, f"{text!r} in data would be read as a control token")
        words = self.encode_text("Tom 8")
        for role, written, ended in (
            ("thought_end", words, thought_ending),
            ("skip", (), thought_ending),
            ("reasoning_end", words, deep_ending),
        ):
            seen = self.decode((*written, *self.marker(role)))
            if ended(seen, self.markers) is Ending.MALFORMED:
                raise MarkerError(role, f"{seen!r} is not taken for its end")

    def added_marker_ids(self) -> list[int]:
        """The markers that are added tokens of the vocabulary."""
        single = {self.marker(role)[0] for role in ROLES if len(self.marker(role)) == 1}
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
        """The prompt as its ids up to the question's end, and those that open the model's own turn."""
        before, after = self._template
        words = f"{instruction}\n{question}" if instruction else question
        return before + self.encode_data(words), after

    @cached_property
    def _template(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        name = self.tokenizer.name_or_path or "the tokenizer"
        if self._thinking is not None:
            self._check_thinking(name)
        if self.tokenizer.chat_template is None:
            return (), self.encode_data("\n")
        text = self._rendered(name, self._thinking)
        before, slot, after = text.partition(_SLOT)
        if not slot or _SLOT in after:
            raise TemplateError(
                f"{name}: its chat template does not put the user's message into the prompt exactly once; "
                f"set another chat_template on the tokenizer."
            )
        return (
            tuple(self._ids(before, split_special_tokens=False)),
            tuple(self._ids(after, split_special_tokens=False)),
        )

    def _check_thinking(self, name: str) -> None:
        """A template knows ``enable_thinking`` if it renders something else with it than without it."""
        known = self.tokenizer.chat_template is not None
        if not known or self._rendered(name, True) == self._rendered(name, False):
            raise ThinkingError(
                f"streaming.thinking: got {str(self._thinking).lower()}, but the chat template of {name} does not know "
                f"enable_thinking; remove the setting."
            )

    def _rendered(self, name: str, thinking: bool | None) -> str:
        """The prompt with ``_SLOT`` for the question."""
        known = {} if thinking is None else {"enable_thinking": thinking}
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [{"role": "user", "content": _SLOT}],
                    add_generation_prompt=True,
                    tokenize=False,
                    **known,
                )
            )
        except Exception as error:  # whatever a template written by others may raise
            raise TemplateError(
                f"{name}: its chat template cannot render a prompt of one user message ({error}); "
                f"set another chat_template on the tokenizer."
            ) from error

    @cached_property
    def _ends_marker(self) -> dict[int, bool]:
        return {}

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        return frozenset(self.tokenizer.get_added_vocab().values())

    @cached_property
    def _added_texts(self) -> tuple[str, ...]:
        return tuple(text for text in self.tokenizer.get_added_vocab() if len(text) > 1)

    def _ids(self, text: str, *, split_special_tokens: bool) -> list[int]:
        encoded = self.tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=split_special_tokens,
            return_attention_mask=False,
        )
        return list(encoded["input_ids"])
