"""Markers that are added tokens, published: the adapter carries their rows, and whoever loads it gets the same logits."""

from __future__ import annotations

import pytest

from adasr_trl.cli.main import main as adasr
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.training.probe import compare, load_probe
from support.hub_use import push, use_hub
from support.loopback_hub import LoopbackHub
from support.other_families import make_base
from support.runs import run

BASE, ADAPTER = "me/family", "me/markers"


@pytest.fixture(scope="module")
def base(tmp_path_factory, episodes):
    """A pretrained model of another family, whose tokenizer knows no marker of ours."""
    root = tmp_path_factory.mktemp("family")
    make_base(root, episodes)
    return root


@pytest.fixture(scope="module")
def published(base, tmp_path_factory):
    """An adapter run with added markers on a base of the Hub, pushed there; yields its directory and the Hub."""
    with LoopbackHub() as hub, pytest.MonkeyPatch.context() as patch:
        use_hub(patch, hub, tmp_path_factory.mktemp("first-cache"))
        hub.repos[BASE] = {path.name: path.read_bytes() for path in (base / "base").iterdir()}
        run_directory = tmp_path_factory.mktemp("run") / "sft"
        flags = (
            "--model",
            f"{{path: {BASE}}}",
            "--lora.r",
            "4",
            "--eval_strategy",
            "no",
            "--output_dir",
        )
        assert run("sft", base, *flags, str(run_directory)) == 0
        assert push(run_directory, ADAPTER, "--without-eval") == 0
        yield run_directory, hub


@pytest.fixture
def elsewhere(published, tmp_path, monkeypatch):
    """The run's directory, while the process is somewhere else and has nothing in its cache."""
    run_directory, hub = published
    use_hub(monkeypatch, hub, tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return run_directory


def test_added_markers_verify_from_the_hub(elsewhere, capsys):
    assert adasr(["verify", ADAPTER, "--device", "cpu"]) == 0
    assert "the same model" in capsys.readouterr().out


def test_added_markers_stream_from_the_hub_with_the_logits_of_training(elsewhere):
    reasoner = StreamingReasoner.from_pretrained(ADAPTER, device="cpu")
    assert compare(load_probe(elsewhere), reasoner._engine._model).largest <= 1e-5


def test_plain_peft_reads_added_markers_once_the_base_is_resized(elsewhere):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    probe = load_probe(elsewhere)
    tokenizer = AutoTokenizer.from_pretrained(ADAPTER)
    plain = AutoModelForCausalLM.from_pretrained(BASE)
    assert len(tokenizer) == plain.get_input_embeddings().num_embeddings + 5
    plain.resize_token_embeddings(len(tokenizer))
    assert compare(probe, plain).largest > 1e-3
    assert compare(probe, PeftModel.from_pretrained(plain, ADAPTER)).largest <= 1e-5
