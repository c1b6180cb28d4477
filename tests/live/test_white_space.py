"""White space changes no token and no border of a chunk, however the text arrives: blank lines apart."""

from __future__ import annotations

import os
import random
import textwrap
import threading

import pytest

from adasr_trl.core.chunking import chunk_as_read, text_as_read
from adasr_trl.core.protocol import Phase
from adasr_trl.core.sentences import SentenceStream, sentence_chunks
from adasr_trl.layouts.codec import Codec
from adasr_trl.live.sources import typed
from support.live_use import reasoner_of
from support.settings import PARALLEL, STREAMING

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant
FORMS = {
    "a newline at the end": lambda chunks: ["".join(chunks) + "\n"],
    "Enter after each sentence": lambda chunks: [chunk.strip() + "\n" for chunk in chunks],
    "a blank line after each": lambda chunks: [chunk.strip() + "\n\n" for chunk in chunks],
    "Windows lines, indented": lambda chunks: [f"  {chunk.strip()}\r\n" for chunk in chunks],
    "two spaces, and a tab": lambda chunks: ["  ".join(map(str.strip, chunks)) + "\t\n"],
    "a no-break space": lambda chunks: ["\u00a0".join(map(str.strip, chunks))],
    "Enter after each word": lambda chunks: [f"{word}\n" for word in words(chunks)],
    "Enter anywhere": lambda chunks: lines(chunks, 23),
    "lines of 40 columns": lambda chunks: ["".join(lines(chunks, 40))],
    "Windows lines of 30 columns": lambda chunks: ["\r\n".join(map(str.strip, lines(chunks, 30)))],
    "indented lines": lambda chunks: [f"\t {line}" for line in lines(chunks, 30)],
    "two spaces between words": lambda chunks: ["  ".join(words(chunks))],
    "tabs between words": lambda chunks: ["\t".join(words(chunks))],
    "no-break spaces between words": lambda chunks: ["\u00a0".join(words(chunks))],
    "line separators between words": lambda chunks: ["\u2028".join(words(chunks))],
    "line ends of old": lambda chunks: ["\r".join(words(chunks))],
}
LAYOUTS = pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=lambda s: s.layout)
# What one gap between two words may look like.
GAPS = (
    " ",
    "  ",
    "\n",
    "\r\n",
    "\r",
    " \n",
    "\n\t",
    "\t",
    "\u00a0",
    "\u2003 ",
    "\u2028",
    "\u3000",
    "\x85",
    "\x0b",
)
TEXTS = (
    "Mr. Smith met Dr. J. R. Lee, who was late. They had 3.5 kg, i.e. 8 lb. Was it enough? No!",
    "She came at 5 p.m. Monday with No. 7 of the U.S. Army. The rest (approx. 20 men) came later; it rained.",
    "he has 5 hens. she buys 3 more. what now? dr. smith said so. ok.",
    'He asked: "Who is it?" she said. "Ann." (He had known. He had not told.) He left... Then it rained.',
    "Tom has a list: 1. eggs, 2. milk. z. B. am 3. Oktober kam er. Il a dit « Oui ! » et il est parti. Fin.",
    f"It ({'was a very long story that no bracket ever closed. ' * 12}And so it went on. He left.",
)  # fmt: skip
WIDE_TEXTS = (
    "小明有五个苹果，他又买了三个。现在他有几个？他说：“八个。”然后走了。",
    "花子は「五つあります。」と言った。太郎は三つ買った。全部でいくつですか。",
)


def words(chunks):
    return "".join(chunks).split()


def lines(chunks, columns):
    text = textwrap.wrap(" ".join(words(chunks)), columns, break_on_hyphens=False)
    return [f"{line}\n" for line in text]


def told(reasoner, episode, pieces):
    stream = reasoner.start(episode.question)
    for piece in pieces:
        stream.feed(piece)
        if piece.endswith("\n"):
            stream.pause()
    stream.finish()
    rollout = stream.rollout
    tokens = list(zip(rollout.token_ids, rollout.phases, strict=True))
    # With two streams the order of reading and writing is that of the arrivals.
    read = sorted(token for token, phase in tokens if phase is Phase.READ)
    return read, [token for token, phase in tokens if phase is not Phase.READ]


def as_read(chunks):
    return [chunk_as_read(chunk, is_first=k == 0) for k, chunk in enumerate(chunks)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input_gives_the_chunks_of_the_text_as_built(episodes, form):
    for episode in episodes:
        stream, chunks = SentenceStream(), []
        for piece in FORMS[form](episode.chunks):
            chunks += stream.feed(piece)
            chunks += stream.pause() if piece.endswith("\n") else ()
        assert as_read([*chunks, *stream.finish()]) == as_read(episode.chunks)


@LAYOUTS
def test_a_model_reads_and_writes_the_tokens_of_the_text_as_built(
    model, tokenizer, episodes, streaming
):
    reasoner, (episode,) = reasoner_of(model, tokenizer, streaming), episodes[:1]
    built = told(reasoner, episode, ["".join(episode.chunks)])
    for form in ("a blank line after each", "Enter anywhere", "tabs between words"):
        assert told(reasoner, episode, FORMS[form](episode.chunks)) == built, form


@LAYOUTS
def test_a_question_is_read_alike_in_every_form(model, tokenizer, episodes, streaming):
    reasoner = reasoner_of(model, tokenizer, streaming)
    (episode,) = episodes[:1]
    asked = [
        reasoner.start(question).rollout.token_ids
        for question in (episode.question, "\r\n ".join(episode.question.split()) + "\n")
    ]
    assert asked[0] == asked[1]
    codec = Codec(tokenizer, STREAMING.markers)
    assert codec.prompt("Who\nis it? ", "Think.") == codec.prompt("Who is it?", "Think.")


def cut_anywhere(text, dice, *, with_pauses):
    """The chunks of a text that arrives in pieces; a piece that ends a line may be followed by a pause."""
    stream, chunks = SentenceStream(), []
    while text:
        length = dice.randint(1, 9)
        piece, text = text[:length], text[length:]
        chunks += stream.feed(piece)
        if with_pauses and piece[-1] in "\r\n":
            chunks += stream.pause()
    return [*chunks, *stream.finish()]


@pytest.mark.parametrize("text", TEXTS)
def test_gaps_between_words_move_no_border_and_change_no_reading(text):
    expected = as_read(sentence_chunks(text))
    for seed in range(60):
        dice = random.Random(seed)
        written = "".join(part + dice.choice(GAPS) for part in text.split())
        chunks = cut_anywhere(written, dice, with_pauses=False)
        assert "".join(chunks) == written
        assert as_read(chunks) == expected, seed


def test_a_line_that_breaks_behind_an_abbreviation_ends_no_chunk_at_a_terminal():
    for text in TEXTS[:2]:
        for seed in range(60):
            dice = random.Random(seed)
            written = "".join(part + dice.choice((" ", "\n", "\r\n")) for part in text.split())
            chunks = cut_anywhere(written, dice, with_pauses=True)
            assert as_read(chunks) == as_read(sentence_chunks(text)), seed


@pytest.mark.parametrize("text", WIDE_TEXTS)
def test_a_wrapped_line_of_a_script_without_spaces_goes_on_without_one(text):
    expected = as_read(sentence_chunks(text))
    assert "".join(expected) == text
    for seed in range(60):
        dice = random.Random(seed)
        written = "".join(letter + dice.choice(("", "", "\n", "\r\n\u3000")) for letter in text)
        assert as_read(cut_anywhere(written, dice, with_pauses=False)) == expected, seed


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("他有\n5个", "他有 5个"),  # nothing tells whether a space stood there
        ("他有 五个", "他有 五个"),
        ("ไปตลาด\nซื้อของ", "ไปตลาดซื้อของ"),
        ("한국\n사람", "한국 사람"),
        ("He said “no”\n“Yes.”", "He said “no” “Yes.”"),
        ("Eggs:\n\n two", "Eggs:\n\ntwo"),
        ("Eggs:\r\n \r\ntwo", "Eggs:\n\ntwo"),
        ("Eggs:\u2029two", "Eggs:\n\ntwo"),
        (" \n ", ""),
    ],
)
def test_white_space_inside_a_text_is_read_as(text, read):
    assert text_as_read(text) == read
    assert text_as_read(read) == read


def test_a_text_that_is_pasted_at_a_terminal_has_no_pause_between_its_lines():
    keyboard, screen = os.openpty()
    os.write(keyboard, b"It was 5 p.m.\non the dot.\n")
    pieces = typed(screen, "x", 9.0, by_line=True)(threading.Event())
    assert [(piece.text, piece.pause) for piece in (next(pieces), next(pieces))] == [
        ("It was 5 p.m.\n", False),
        ("on the dot.\n", True),
    ]
    os.close(keyboard)
    os.close(screen)
