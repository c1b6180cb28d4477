"""Chunking: sentence boundaries, word counts, the clock; loss-free, and final once they are found."""

# ruff: noqa: RUF001 - the typographic, Chinese and Japanese marks are meant

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.chunking import chunk, chunk_as_read, clock_chunks, word_chunks
from adasr_trl.core.sentences import OPEN_BRACKET_REACH, SentenceStream, sentence_chunks
from support.proportion import assert_in_proportion

# Each line is one text; "|" stands where a sentence ends.
CASES = """
Ida has 4 pens.| She loses 1.| How many are left?
The rope is 3.5 m long.| Cut it in two.
A mug costs $2.50 today.| Ben buys six.
The tax is $.75 a bag.| Who pays it?
The effect was small (p = 0.05).| We stopped there.
We found p = 0.05.| The trial went on.
Use a scale, i.e. a balance, for this.| Then write it down.
Bring fruit, e.g. Braeburn apples.| Leave the rest.
Moreau et al. Lab notes were lost.| Copies exist.
As Okafor et al. (2031) found, rest helps.| It is cheap.
This agrees with Lindqvist et al.| The cause is open.
Dr. Osei sees 9 patients.| Each one stays 20 minutes.
Ms. Varga and Mr. Pohl share a taxi.| It costs 18 euros.
Prof. Ito gave Mrs. Adler 3 books.| She read one.
Take bus No. 5 to the harbour.| Get off at stop no. 12.
Did it rain?| No.| The street was dry.
The shop opens at 9 a.m. and shuts at 5 p.m. every day.| It is small.
The train left at 6 a.m.| Nobody saw it.
The call starts at 8 a.m. Monday and lasts an hour.| Be there.
He flew at 7 p.m. EST to Boston.| He was late.
The U.S. team won 4 races.| The rest were lost.
She moved to the U.S.| The visa took a year.
The U.K. Treasury sold 3 ships.| Nobody bid.
Mary K. Lowe and J. R. Stone run a bakery.| They sell rolls.
Jar A has 6 marbles.| Jar B has twice as many as jar A.| Jar C is empty.
The capsule holds vitamin D.| Patients take two.
He paid J. Brandt 5 coins.| She kept 2.
"I am late."| She ran off.
"Is it far?" he asked.| "No," said Lena.
'Stop!'| The dog sat down.
“We are lost.”| They turned round.
He said «halt».| We halted.
(He was wrong.)| She knew it.
She ran (she was late. Very late) to school.| She made it.
The fee (see Sec. 4. It is long) is 5.| Pay it [in cash. Now].| Thanks.
He waited... and waited.| Then it rang.
He waited...| Nothing came.
She counted … three … four.| That was all.
Wait…| What is that?
Wow!| That is big!| Really?!| Yes.
Is it 3?| 4?| 5?
It weighs 5 kg.| 12 of them fit.
The plank is 6 ft. 4 in. long.| Saw it.
He was born on Jan. 4 in Oslo.| His twin was not.
See Fig. 2 and Eq. 7 for this.| The rest is clear.
It was 12 vs. 15 points.| They lost.
1. Peel the apple.| 2. Cut it.
A. Boil water.| B. Add rice.
Visit www.example.org for more.| It is free.
Open notes.txt first.| Then read it.
Version 2.0.1 is out.| Install it.
He ate half.| 3/4 of the rest went bad.
It cost 20%.| $5 were left.
Acme Inc. sold 40 lamps.| Its rival sold 3.
She works at Acme Inc.| They pay well.
They live on Oak St. near Elm Ave. in town.| It is quiet.
Sam Hall Jr. owns 2 boats.| One leaks.
The list: pens, ink, etc.| Buy it all.
The first line ends here.|
The second one starts here.
Tom has one cat.|\tAnn has two.
It rained.|  Two spaces follow a stop here.|   Three here.
He has a Ph.D. from Lund.| It took six years.
The mean was 4.2 (S.D. 1.1).| All were well.
Émile a 3 pommes.| Élodie en a 5.
Die Tür ist zu.| Über ihr hängt ein Bild.
¿Cuántas hay?| ¡Muchas!| Son diez.
小明有五个苹果。|他吃了两个。|还剩几个？
太好了！|我们走吧。
她说：「走吧。」|然后她走了。
他来了（很晚。真的）。|门开着。
猫が三匹います。|一匹は黒いです。
多少？| 三个。
"""


def split_case(case: str) -> tuple[str, ...]:
    return tuple(case.split("|"))


# A case whose "|" stands at the end of its line goes on in the next line.
TEXTS = CASES.strip().replace("|\n", "|\\n").splitlines()


@pytest.mark.parametrize("case", TEXTS)
def test_a_sentence_ends_where_a_reader_ends_it(case: str) -> None:
    expected = split_case(case.replace("\\n", "\n"))
    assert sentence_chunks("".join(expected)) == expected


def test_there_are_at_least_sixty_cases_with_over_a_hundred_sentences() -> None:
    assert len(TEXTS) >= 60
    assert sum(len(split_case(case)) for case in TEXTS) >= 100


def test_white_space_belongs_to_the_chunk_that_follows_and_at_the_end_to_the_last() -> None:
    assert sentence_chunks("  One.  Two. \n") == ("  One.", "  Two. \n")
    assert word_chunks(" a  b c ", 2) == (" a  b", " c ")
    assert clock_chunks(" a  b c ", 0.8) == (" a  b", " c ")


@pytest.mark.parametrize("blank", ["", " ", "\n\t "])
def test_a_blank_text_has_no_chunk(blank: str) -> None:
    assert sentence_chunks(blank) == word_chunks(blank, 3) == clock_chunks(blank, 1.0) == ()


def test_a_sentence_is_returned_as_soon_as_the_next_one_starts() -> None:
    stream = SentenceStream()
    assert stream.feed("It is 3.") == ()
    assert stream.feed("5 km. ") == ()  # "It is 3.5 km. and" may follow
    assert stream.feed("N") == ("It is 3.5 km.",)
    assert stream.feed("ow") == ()
    assert stream.finish() == (" Now",)


def test_behind_an_abbreviation_the_whole_next_word_is_awaited() -> None:
    stream = SentenceStream()
    assert stream.feed("She left the U.S. He") == ()  # "the U.S. Helium Reserve" may follow
    assert stream.feed(" ran.") == ("She left the U.S.",)


def test_a_bracket_that_never_closes_holds_back_only_its_reach() -> None:
    chunks = sentence_chunks("(" + "It rains. " * 100)
    assert len(chunks[0]) <= OPEN_BRACKET_REACH + len("It rains. ")
    assert set(chunks[1:-1]) == {" It rains."}


def test_words_are_counted_out_and_the_last_chunk_may_be_shorter() -> None:
    assert word_chunks("one two three four five", 2) == ("one two", " three four", " five")
    assert word_chunks("one two", 5) == ("one two",)


def test_the_clock_cuts_where_its_windows_end() -> None:
    # 150 words a minute are 0.4 s a word: words end at 0.4, 0.8, 1.2, 1.6, 2.0 s.
    assert clock_chunks("a b c d e", 0.8) == ("a b", " c d", " e")
    assert clock_chunks("a b c d e", 1.0) == ("a b", " c d e")
    assert clock_chunks("a b c d e", 2.0, words_per_minute=60.0) == ("a b", " c d", " e")
    assert clock_chunks("a b", 0.1) == ("a", " b")  # windows in which no word ends are no chunks


def test_a_spec_names_the_way_of_chunking() -> None:
    text = "Tom has 5. He eats 2."
    assert chunk(text, "sentence") == ("Tom has 5.", " He eats 2.")
    assert chunk(text, "word:4") == ("Tom has 5. He", " eats 2.")
    assert chunk(text, "clock:2.0") == ("Tom has 5. He eats", " 2.")
    assert chunk(text, "clock:2@60") == ("Tom has", " 5. He", " eats 2.")


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "sentences",
        "word",
        "word:0",
        "word:-1",
        "word:1.5",
        "clock:",
        "clock:1.2.3",
        "clock:inf",
    ],
)
def test_a_bad_spec_is_refused_with_what_was_got_and_expected(spec: str) -> None:
    with pytest.raises(ValueError, match=r"got '.*expected 'sentence', 'word:N'"):
        chunk("Tom.", spec)


def test_counts_and_seconds_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="got 0; expected"):
        word_chunks("a", 0)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"got .*expected above 0"):
            clock_chunks("a", seconds)
    with pytest.raises(ValueError, match="expected above 0"):
        chunk("a", "clock:0")


PIECES = (
    *(
        "Tom",
        "he",
        "A",
        "U.S.",
        "Dr.",
        "a.m.",
        "No.",
        "5",
        "3.5",
        "et al.",
        "The",
        "Monday",
        "x" * 40,
    ),
    *(
        "[3]",
        "[",
        "; ",
        "Πόσα;",
        "¿Qué",
        "“",
        "„",
        "²",
        "z. B.",
        "At 5 a.m. ",
        "А. С.",
        "г. ",
        "།",
        "EE. UU.",
    ),
    *(
        ".",
        "...",
        "!",
        "?",
        "…",
        "。",
        "？",
        '"',
        "'",
        "”",
        "(",
        ")",
        "[",
        "]",
        "（",
        "）",
        "「",
        "」",
        "，",
    ),
    *(" ", " ", " ", "  ", "\n", "\t", "\u3000", "*", "é", "\x00", "\ud800", "-" * 200),
)
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.text(max_size=80))
properties = settings(deadline=None, max_examples=100)


def edges(chunks: tuple[str, ...]) -> list[int]:
    ends, total = [], 0
    for piece in chunks[:-1]:
        total += len(piece)
        ends.append(total)
    return ends


@properties
@given(texts, st.integers(1, 9), st.floats(0.01, 100.0), st.floats(1.0, 1000.0))
def test_every_way_of_chunking_is_loss_free_and_leaves_no_chunk_blank(
    text: str, words: int, seconds: float, pace: float
) -> None:
    ways = (sentence_chunks(text), word_chunks(text, words), clock_chunks(text, seconds, pace))
    for chunks in ways:
        assert "".join(chunks) == (text if text.strip() else "")
        assert all(piece.strip() for piece in chunks)


@properties
@given(texts)
def test_a_boundary_is_never_retracted_when_more_text_arrives(text: str) -> None:
    whole = edges(sentence_chunks(text))
    for length in range(len(text)):
        known = edges(sentence_chunks(text[:length]))
        assert known == whole[: len(known)]


@properties
@given(texts, st.data())
def test_sentences_do_not_depend_on_how_the_text_is_cut_into_feeds(
    text: str, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    for points in ([0, *cuts, len(text)], list(range(len(text) + 1))):
        stream = SentenceStream()
        fed = [piece for start, end in pairwise(points) for piece in stream.feed(text[start:end])]
        assert (*fed, *stream.finish()) == sentence_chunks(text)


@pytest.mark.parametrize(
    "unit", ["word ", "(It is. ", "Hi.\n", ".", ")", "U.S. ", "U.S. " + " " * 50, "好。"]
)
def test_work_is_linear_in_a_long_text_however_it_is_fed(unit: str) -> None:
    def feed(length: int) -> None:
        stream = SentenceStream()
        for character in unit * (length // len(unit)):
            stream.feed(character)
        stream.finish()

    assert_in_proportion(feed, 100_000)


@pytest.mark.parametrize(
    ("fed", "handed_on", "rest"),
    [
        ("Tom has 5.", ("Tom has 5.",), ""),
        ("Tom has 5. ", ("Tom has 5.",), " "),
        ('He said "go."\n', ('He said "go."',), "\n"),
        ("Tom has 5", (), "Tom has 5"),
        ("It is 3.", ("It is 3.",), ""),  # whoever pauses within 3.5 has said so
        ("He met Dr.", (), "He met Dr."),
        ("(He left.", (), "(He left."),
        ("", (), ""),
    ],
)
def test_a_pause_hands_on_only_a_sentence_that_stands_at_its_stop(fed, handed_on, rest):
    stream = SentenceStream()
    stream.feed(fed)
    assert stream.pause() == handed_on
    assert stream.pause() == ()
    assert stream.finish() == ((rest,) if rest.strip() else ())


def test_with_pauses_the_chunks_are_still_the_text():
    stream, found = SentenceStream(), []
    for piece in ("Tom has 5 hens.", " He", " buys 3.\n", "Now?", " Yes."):
        found += [*stream.feed(piece), *stream.pause()]
    found += stream.finish()
    assert found == ["Tom has 5 hens.", " He buys 3.", "\nNow?", " Yes."]


CASES = Path(__file__).parent / "cases" / "sentences.tsv"


@pytest.mark.parametrize("line", CASES.read_text(encoding="utf-8").splitlines())
def test_sentences_of_other_scripts_and_languages_end_where_they_end(line: str) -> None:
    count, text = line.split("\t")
    assert len(sentence_chunks(text)) == int(count)


@pytest.mark.parametrize(
    "expected",
    [
        ("I. Tom has 5.", " II. Ann has 3."),
        ("Am 3. Oktober kam er.", " Er blieb."),
        ("I am 3.", " He is 5."),
        ("Tom has 5 coins", "\n\nAnn has 3 coins"),
        ("Tom has\n5 coins.", " Ann has 3."),
        ("www.Example.com is a site.", " OK."),
        ("He works at Main.Java now.", " Yes."),
        ("i saw dr. smith today.", " he left at 5 p.m. and went home.", " what now?"),
        ("She asked.", "Then he left.", " Ok."),
        ("»Komm!«", " Er ging.", " »Ja.«", " Sie auch."),
        ("هل جاء أحمد؟", " نعم جاء."),
    ],
)
def test_more_habits_of_writing(expected: tuple[str, ...]) -> None:
    assert sentence_chunks("".join(expected)) == expected


def test_white_space_at_the_borders_of_a_chunk_is_read_in_one_way() -> None:
    for text in ("Tom has 5.", "Tom has 5.\n", "\n Tom has 5. \t"):
        assert chunk_as_read(text, is_first=True) == "Tom has 5."
    for text in (" Tom has 5.", "\n\nTom has 5.\r\n", "\u00a0Tom has 5."):
        assert chunk_as_read(text, is_first=False) == " Tom has 5."
    assert chunk_as_read("他有五个。", is_first=False) == "他有五个。"
