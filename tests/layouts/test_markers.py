"""Markers and chat templates on tokenizers of other families: checked at the start, added only where asked for.

The tokenizers have each family's control tokens and chat template (TRL's copies) over a small vocabulary.
"""

from __future__ import annotations

import shutil

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from adasr_trl.artifacts.saved_config import load_streaming
from adasr_trl.config.sections import ModelConfig, StreamingConfig
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Markers, Mode
from adasr_trl.layouts import build_layout
from adasr_trl.layouts.codec import Codec, MarkerError, ThinkingError
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.models.loading import load_model, load_tokenizer
from support.other_families import FAMILIES, SMOLLM2, make_base, of_family, small_tokenizer
from support.runs import run
from support.settings import STREAMING

SWITCHED = (  # as Qwen3's: thinking is on unless it is switched off, and then an empty thought stands in the prompt
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
PLAIN = Markers("<<", ">>", "~~", "##", "||")
THINK = Markers("<<", ">>", "~~", "<think>", "</think>")  # as configs/qwen3-*


@pytest.fixture(scope="module")
def small():
    return small_tokenizer()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_prompt_is_what_the_families_own_template_renders(small, name):
    made = of_family(small, name)
    codec = Codec(made, PLAIN)
    message = [{"role": "user", "content": "How many?"}]
    whole = made.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
    assert codec.decode(codec.prompt("How many?")) == whole
    assert codec.decode(codec.prompt("How many?")).endswith(FAMILIES[name][2])


@pytest.mark.parametrize(
    ("thinking", "opened"),
    [(None, ""), (True, ""), (False, "<think>\n\n</think>\n\n")],
)
def test_thinking_on_or_off_is_what_the_template_makes_of_it(small, thinking, opened):
    made = of_family(small, "qwen3, thinking")
    made.chat_template = SWITCHED
    codec = Codec(made, PLAIN, thinking)
    asked = "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n"
    assert codec.decode(codec.prompt("How many?")) == asked + opened


@pytest.mark.parametrize("thinking", [True, False])
@pytest.mark.parametrize("template", [SMOLLM2, None])
def test_thinking_is_refused_by_name_where_the_template_does_not_know_it(small, template, thinking):
    made = of_family(small, "smollm2")
    made.chat_template = template
    said = f"streaming.thinking: got {str(thinking).lower()}, but the chat template of .* does not"
    with pytest.raises(ThinkingError, match=said):
        Codec(made, PLAIN, thinking).prompt("How many?")


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("markers", [PLAIN, Markers()])
def test_plain_markers_pass_the_check_and_add_nothing_to_the_vocabulary(small, name, markers):
    made = of_family(small, name)
    size = len(made)
    Codec(made, markers).check_markers()
    assert len(made) == size


def test_an_existing_token_that_fits_is_a_marker_and_data_never_yields_it(small):
    codec = Codec(of_family(small, "qwen3, thinking"), THINK)
    codec.check_markers()
    (ends,) = codec.marker("reasoning_end")
    assert ends not in codec.encode_data("Say </think> aloud.")
    assert codec.decode(codec.encode_data("Say </think> aloud.")) == "Say </think> aloud."


@pytest.mark.parametrize(
    ("markers", "said"),
    [
        ({"skip": "<|im_end|>"}, "streaming.markers.skip: '<|im_end|>' holds the tokenizer's end"),
        ({"chunk_end": "ﬁ"}, "streaming.markers.chunk_end: 'ﬁ' behind a word is read back as"),
    ],
)
def test_a_marker_that_would_not_be_found_again_is_refused(small, markers, said):
    made = of_family(small, "qwen3, thinking")
    if "chunk_end" in markers:  # a tokenizer that rewrites text, as NFKC does
        made.backend_tokenizer.normalizer = normalizers.NFKC()
    with pytest.raises(MarkerError) as error:
        Codec(made, Markers(**markers)).check_markers()
    assert said in str(error.value)


@pytest.mark.parametrize("layout", ["interleaved", "parallel"])
def test_a_template_that_strips_thoughts_from_history_changes_nothing(small, episodes, layout):
    """Rendered again, Qwen3's template drops what was thought; here every turn's ids only follow those before."""
    name = "qwen3, thinking"
    made, message = of_family(small, name), [{"role": "user", "content": "Q"}]
    answered = [
        *message,
        {"role": "assistant", "content": "<think>\nThought\n</think>\n\n8"},
        *message,
    ]
    assert "Thought" not in made.apply_chat_template(answered, tokenize=False)

    streaming = StreamingConfig(layout=layout, markers=PLAIN)
    codec = Codec(made, PLAIN)
    built = build_layout(streaming, codec)
    encoded = built.encode(episodes[0], Mode.STREAMING)
    asked, header = codec.prompt_parts(episodes[0].question)
    start = asked + header if layout == "interleaved" else asked
    assert encoded.token_ids[: len(start)] == start
    text = codec.decode(encoded.token_ids)
    for thought in episodes[0].thoughts:
        assert thought in text  # all of them are still there
    given = [token for turn in built.turns(episodes[0], Mode.STREAMING) for token in turn.token_ids]
    rest = iter(encoded.token_ids)
    assert all(token in rest for token in given)  # in this order: nothing was rendered again


@pytest.fixture(scope="module")
def base(tmp_path_factory, episodes):
    """A pretrained model of another family, whose tokenizer knows no marker of ours."""
    root = tmp_path_factory.mktemp("family")
    make_base(root, episodes)
    return root


def test_added_tokens_train_their_rows_alone_and_load_again(base, caplog):
    flags = ("--model", f"{{path: {base}/base}}", "--lora.r", "4")
    assert run("sft", base, *flags) == 0
    assert "vLLM and llama.cpp do not load" in caplog.text
    config = ModelConfig(path=str(base / "sft"))
    markers = load_streaming(base / "sft").markers
    tokenizer = load_tokenizer(config, markers, ())
    codec = Codec(tokenizer, markers)
    rows = codec.added_marker_ids()
    assert len(rows) == 5
    assert [len(codec.marker(role)) for role in ("skip", "thought_end")] == [1, 1]
    before = load_model(ModelConfig(path=str(base / "base")), tokenizer, seed=42)  # SFT's
    after = load_model(config, tokenizer, seed=1).merge_and_unload()
    old, new = (each.get_input_embeddings().weight for each in (before, after))
    kept = [row for row in range(len(tokenizer)) if row not in rows]
    assert torch.equal(old[kept], new[kept])
    assert 0.005 < (old[rows] - new[rows]).abs().max() < 0.05  # two steps of 0.01
    assert torch.equal(after.lm_head.weight, new)  # the head is tied to it
    again = load_model(config, tokenizer, seed=2).merge_and_unload()
    assert torch.equal(again.get_input_embeddings().weight, new)  # nothing of a new draw is left
    assert run("hrpo", base) == 0
    assert load_streaming(base / "hrpo").markers == markers


def test_added_tokens_are_refused_with_vllm(base, capsys):
    assert run("hrpo", base, "--engine", "vllm", "--output_dir", str(base / "v")) == 2
    assert "streaming.markers.add_tokens: got true, but vLLM" in capsys.readouterr().err


def test_a_bad_marker_is_named_with_its_line(base, capsys):
    flags = ("--model", f"{{path: {base}/base}}", "--output_dir", str(base / "bad"))
    assert run("sft", base, *flags, "--streaming.markers.skip", "<|im_end|>") == 2
    assert (
        "--streaming.markers.skip: streaming.markers.skip: '<|im_end|>'" in capsys.readouterr().err
    )
    assert not (base / "bad").exists()


def test_markers_in_the_data_are_text_and_said(base, episodes, caplog):
    word = episodes[0].question.split()[1]
    flags = ("--model", f"{{path: {base}/base}}", "--output_dir", str(base / "said"))
    markers = f"{{chunk_end: ';;', thought_end: '>>', skip: '~~', stream_end: '##', reasoning_end: {word}}}"
    assert run("sft", base, *flags, "--streaming.markers", markers) in (0, 2)
    said = [r.message for r in caplog.records if "streaming.markers" in r.message]
    assert any(f"{word!r} stands in the question or input of" in message for message in said)


def test_markers_of_the_scratch_tokenizer_pass(tokenizer):
    Codec(tokenizer, STREAMING.markers).check_markers()


def test_thinking_that_the_template_does_not_know_is_named_with_its_line(base, capsys):
    flags = ("--model", f"{{path: {base}/base}}", "--output_dir", str(base / "bad"))
    assert run("sft", base, *flags, "--streaming.thinking", "false") == 2
    assert (
        "error: command line --streaming.thinking: streaming.thinking: got false, but the chat template of"
        in capsys.readouterr().err
    )


def test_thinking_is_kept_with_the_model_and_another_setting_refused(base, tmp_path, capsys):
    made = AutoTokenizer.from_pretrained(base / "base")
    made.chat_template = SWITCHED
    shutil.copytree(base / "base", tmp_path / "switched")
    made.save_pretrained(tmp_path / "switched")
    flags = (
        "--model",
        f"{{path: {tmp_path}/switched}}",
        "--max_steps",
        "1",
        "--eval_strategy",
        "no",
    )
    off = ("--streaming.thinking", "false", "--output_dir", str(tmp_path / "off"))
    assert run("sft", base, *flags, *off) == 0
    streaming = load_streaming(tmp_path / "off")
    assert streaming.thinking is False
    reasoner = StreamingReasoner.from_pretrained(tmp_path / "off", device="cpu")
    stream = reasoner.start("How many?")
    stream.feed("Tom has 5 coins.")
    stream.finish()
    assert "<think>" in made.decode(stream.rollout.token_ids[: stream.rollout.prompt_length])
    capsys.readouterr()
    on = ("--model.path", str(tmp_path / "off"), "--output_dir", str(tmp_path / "rl"))
    assert run("hrpo", base, *on, "--streaming.thinking", "true") == 2
    assert "streaming.thinking: got true, but the model in" in capsys.readouterr().err


def test_a_word_without_a_token_is_named_and_not_called_a_control_token():
    made = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "Tom": 2}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="</s>")
    codec = Codec(wrapped, PLAIN)
    assert codec.encode_data("Tom") == (2,)
    words = "has no token for a part of 'é', which would be read as <unk>; use a tokenizer that has bytes"
    with pytest.raises(UserError, match=words):
        codec.encode_data("Tom é")
