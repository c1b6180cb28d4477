"""Chinese and Japanese: their stops, and the time that it takes to say them."""

# ruff: noqa: RUF001 - the Chinese and Japanese marks are meant

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adasr_trl.core.chunking import clock_chunks, spoken_words, word_chunks
from adasr_trl.core.clock import Clock, arrivals
from adasr_trl.core.episode import AnswerType, Episode, Source
from adasr_trl.core.sentences import sentence_chunks

SENTENCES = (
    ("小明有五个苹果。", "他吃了两个！", "还剩几个？"),
    ("她说：「走吧。」", "然后她走了。"),
    ("价格是3.5元。", "买两个。"),
    ("他等了……很久。", "门开了。"),
    ("（他错了。）", "她知道。"),
    ("『本当？』と彼は聞いた。", "雨だ。"),
    ("「走吧。」她说。", "门开了。"),
    ("“谁？”他问。", "没有人回答。"),
    ("猫が三匹います。", "一匹は黒いです。", "何匹残りますか？"),
    ("すごい！", "行こう。"),
    ("東京は３時。", "大阪は４時。"),
    ("彼は「はい。」と言った。", "終わり。"),
    ("「はい。」", "とても寒い。"),
)


@pytest.mark.parametrize("sentences", SENTENCES)
def test_sentences_end_at_wide_stops_without_a_space(sentences):
    assert sentence_chunks("".join(sentences)) == sentences


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Tom has 5 hens.", 4),
        ("小明有五个苹果。", 7 * 0.6),
        ("猫が三匹います。", 7 * 0.5),
        ("小明有 12 个苹果 (OK)。", 6 * 0.6 + 2),
        ("", 0),
        ("。！", 1),  # no letter: as before, what white space separates
    ],
)
def test_a_character_takes_a_part_of_a_word_s_time(text, words):
    assert spoken_words(text) == pytest.approx(words)


def test_a_chinese_chunk_arrives_after_its_characters():
    chunks = ("小明有五个苹果。", "他吃了两个！")
    source = Source("s", "1", "MIT", "train")
    episode = Episode("a", "a", "几个？", chunks, "3", AnswerType.NUMBER, source)
    # 7 and 12 characters at 250 a minute.
    assert arrivals(episode, Clock()) == pytest.approx((7 * 60 / 250, 12 * 60 / 250))


def test_words_and_windows_count_characters():
    assert word_chunks("小明有五个苹果。", 3) == ("小明有", "五个苹", "果。")
    assert clock_chunks("小明有五个苹果。", 0.96) == ("小明有五", "个苹果。")  # 0.24 s a character
    assert clock_chunks("a 猫 b", 0.4) == ("a", " 猫", " b")
    assert "".join(clock_chunks("東京は３時。大阪は４時。", 0.5)) == "東京は３時。大阪は４時。"


PIECES = (
    "と",
    "とても",
    "って",
    "他",
    "说",
    "猫",
    "。",
    "？",
    "」",
    "『",
    "「",
    "”",
    " ",
    "a",
    "5",
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_what_arrives_later_moves_no_boundary_behind_speech(text):
    def edges(chunks):
        return [sum(map(len, chunks[: i + 1])) for i in range(len(chunks) - 1)]

    whole = edges(sentence_chunks(text))
    for length in range(len(text)):
        known = edges(sentence_chunks(text[:length]))
        assert known == whole[: len(known)]
