"""Nothing of a text is lost or changed: joined chunks are the input, however it is cut and whatever it holds."""

# ruff: noqa: RUF001 - ambiguous and invisible characters are meant

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adasr_trl.core.episode import read_episodes
from adasr_trl.core.sentences import sentence_chunks
from data_builders.__main__ import main
from data_builders.text.cut import cut
from support.building import refused, write_rows
from support.proportion import assert_in_proportion

# Control tokens of Qwen, Llama 3, Mistral and Llama 2, Gemma, and GPT-2 with T5's and ours.
CONTROL = (
    *("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>"),
    *("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>"),
    *("[INST]", "[/INST]", "<s>", "</s>", "<<SYS>>"),
    *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>"),
    *("<pad>", "<unk>", "<extra_id_0>", "<EOS>", "<EOT>", "<skip>", "<EOI>", "<EOR>"),
)
UNTRUSTED = {
    "emoji": "Tom 👩‍👩‍👧‍👦 has 5 🍎. He eats 2 🍏! How many 🍎🍏 are left? 🇩🇪🏳️‍🌈",
    "combining": "Cafe\u0301 a\u0300 Z\u0351\u036b\u0343algo\u0321. E\u0301lan\u0303! Done\u0308.",
    "right to left": "יש לתום 5 תפוחים. הוא קנה 3. لدى توم ٥ تفاحات؟ نعم. \u202ereversed\u202c. End.",
    "control tokens": " ".join(f"{token} is a word. {token}." for token in CONTROL),
    "controls": "A\x00b.\x07 C\x1b[31md.\u200b E\ufeff. \u2028F.\u2029 G\x85H.",
    "white space": " \u00a0\u3000 One.\r\n\r\n Two.\t\tThree. \u2003",
    "long": "Tom has 5 apples. He buys 3, i.e. more (see Fig. 2). " * 20_000,
    "no space": "x" * 1_000_000,
    "only stops": "." * 100_000 + "a",
    "wide": "小明有五个苹果。他吃了两个！还剩几个？" * 200,
}
SPECS = ("sentence", "word:3", "clock:2.0", "paragraph", "source")


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", UNTRUSTED)
def test_untrusted_text_streams_unchanged_through_a_build(tmp_path, name, spec):
    row = {"ask": "What is it?", "story": UNTRUSTED[name], "gold": "it"}
    path = write_rows(tmp_path / "rows.jsonl", [row])
    columns = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
    more = ["--answer-type", "text", "--name", "n", "--licence", "MIT", "--chunk", spec]
    out = tmp_path / "out"
    given = ["custom", "--input", str(path), *columns, *more, "--test-share", "0"]
    assert main([*given, "--out", str(out)]) == 0
    (episode,) = read_episodes(out / "train.jsonl")
    assert episode.text == UNTRUSTED[name]
    assert all(chunk.strip() for chunk in episode.chunks)


def test_half_a_surrogate_pair_rejects_its_row_and_no_other(tmp_path):
    good = {"question": "Tom has 5. How many?", "answer": "#### 5"}
    lines = [json.dumps(good), '{"question": "Tom \\ud800 has 5. How many?", "answer": "#### 5"}']
    path = write_rows(tmp_path / "rows.jsonl", lines)
    out = tmp_path / "out"
    given = ["gsm8k", "--input", str(path), "--out", str(out), "--test-share", "0"]
    assert main(given) == 0
    assert len(list(read_episodes(out / "train.jsonl"))) == 1
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["rejected"]["by_reason"] == {"bad_column": 1}


def test_an_integer_of_many_digits_is_an_error_of_its_line(tmp_path, capsys):
    line = '{"question": ' + "9" * 5000 + ', "answer": "#### 5"}'
    path = write_rows(tmp_path / "rows.jsonl", [line])
    status = main(["gsm8k", "--input", str(path), "--out", str(tmp_path / "out")])
    refused(status, capsys, "rows.jsonl:1", "invalid JSON")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A byte-level tokenizer, whose tokens may be parts of a character, with control tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|im_end|>"],
    )
    made.train_from_iterator(["Tom has 5 apples. He buys 3 more."] * 20, trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return str(path)


@pytest.mark.parametrize("name", [name for name in UNTRUSTED if name != "no space"])
@pytest.mark.parametrize("tokens", [1, 7])
def test_untrusted_text_is_cut_by_tokens_without_loss(tokenizer, name, tokens):
    text = UNTRUSTED[name][:20_000]
    chunks = cut(text, f"token:{tokens}", tokenizer)
    assert "".join(chunks) == text
    assert all(chunk.strip() for chunk in chunks)


def test_tokens_are_counted_out_and_white_space_belongs_to_what_follows(tokenizer):
    from tokenizers import Tokenizer

    chunks = cut("Tom has 5 apples. He buys 3 more.", "token:4", tokenizer)
    sizes = [len(Tokenizer.from_file(tokenizer).encode(chunk).ids) for chunk in chunks]
    assert set(sizes[:-1]) == {4}
    assert all(chunk.startswith(" ") for chunk in chunks[1:] if chunk[0].isspace())


def test_tokens_need_a_tokenizer(tmp_path, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [{"question": "a", "answer": "#### 1"}])
    given = ["gsm8k", "--input", str(path), "--out", str(tmp_path / "out"), "--chunk", "token:5"]
    refused(main(given), capsys, "--chunk token:5", "--tokenizer")


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200), st.sampled_from(["paragraph", "word:2", "sentence"]))
@example("\n\n a \n\n", "paragraph")
@example("a\n\nb\n \nc\n", "paragraph")
def test_any_text_is_cut_without_loss(text, spec):
    chunks = cut(text, spec)
    assert "".join(chunks) == (text if text.strip() else "")
    assert all(chunk.strip() for chunk in chunks)


def test_paragraphs_end_at_line_breaks():
    assert cut("One.\n\nTwo. Three.\nFour.", "paragraph") == ("One.", "\n\nTwo. Three.", "\nFour.")


@pytest.mark.parametrize("name", ["long", "no space", "only stops"])
def test_a_million_characters_are_split_in_time_in_proportion(name):
    text = UNTRUSTED[name]
    assert_in_proportion(lambda length: sentence_chunks(text[:length]), len(text))


LONG = 300_000


def patterns(length):
    """Texts that a careless pattern reads again from each of their characters."""
    return {
        "digits": "9" * length,
        "letters before a digit": "x" * length + " 5",
        "spaces": "Tom" + " " * length + "has 5.",
        "line breaks": "Tom" + "\n" * length + "has 5.",
        "lines": "a 5\n" * (length // 4),
        "sum": "1+" * (length // 2),
        "sums": "1+1=2; " * (length // 7),
        "division": "1/" + "2" * length,
        "equals": "=" * length,
        "equals and spaces": "5 + 3 =" + " " * length + "x",
        "percent": "5" + " " * length + "%",
        "commas": "1,000," * (length // 6),
        "number words": "one " * (length // 4),
        "brackets": "(" * length,
        "annotations": "<<" * (length // 2),
    }


@pytest.mark.parametrize("name", patterns(1))
def test_untrusted_rows_take_time_in_proportion_to_their_length(tmp_path, name):
    def build(length):
        text, out = patterns(length)[name], tmp_path / str(length)
        out.mkdir()
        question = f"{text} How many?"
        rows = [
            {"question": question, "answer": f"5+3=<<5+3=8>>8 {text}\n#### 8"},
            {"question": "Tom has 5. He buys 3. How many?", "answer": f"{text}=<<5+3=8>>8\n#### 8"},
        ]
        path = write_rows(out / "rows.jsonl", rows)
        given = ["--input", str(path), "--test-share", "0", "--keep-untraced"]
        main(["gsm8k", *given, "--out", str(out / "a"), "--chunk", "paragraph"])
        row = {"query": question, "response": f"{text}\nThe answer is: 8"}
        path = write_rows(out / "rows.jsonl", [row])
        main(["metamathqa", *given, "--out", str(out / "b")])

    assert_in_proportion(build, LONG)
