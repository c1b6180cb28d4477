"""Publishing: a run goes to a Hub on 127.0.0.1 and comes back the same; what must not be published is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys

import huggingface_hub.constants as hub_constants
import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from adasr_trl.cli.main import main as adasr
from adasr_trl.core.episode import read_episodes, write_episodes
from adasr_trl.core.errors import UserError
from adasr_trl.core.protocol import Mode
from adasr_trl.evaluation.records import load_outcomes
from adasr_trl.evaluation.settings import Setting, recorded_settings
from adasr_trl.evaluation.summary import summarise_seeds
from adasr_trl.hub.card import Described, evaluations, write_card
from adasr_trl.live.reasoner import StreamingReasoner
from adasr_trl.training.probe import compare, load_probe
from support import workspace
from support.hub_use import push, use_hub
from support.loopback_hub import LoopbackHub
from support.runs import run

BASE, ADAPTER, MERGED = "me/base", "me/adapter", "me/merged"


@pytest.fixture(scope="module")
def world(tmp_path_factory, episodes):
    """A Hub with a base model that was pushed there, and a finished, evaluated adapter run on it."""
    root = tmp_path_factory.mktemp("world")
    workspace.make(root, episodes)
    with LoopbackHub() as hub, pytest.MonkeyPatch.context() as patch:
        use_hub(patch, hub, root / "cache")
        assert run("sft", root, "--output_dir", str(root / "base"), "--max_steps", "2") == 0
        assert push(root / "base", BASE, "--without-eval") == 0
        flags = ("--model", f"{{path: {BASE}}}", "--lora.r", "4", "--learning_rate", "0.05")
        assert run("sft", root, *flags) == 0
        assert run("eval", root, "--model.path", str(root / "sft")) == 0
        yield root, hub


@pytest.fixture
def hub(world, tmp_path, monkeypatch):
    """The Hub with nothing but the base, and an empty cache."""
    _, hub = world
    use_hub(monkeypatch, hub, tmp_path / "cache")
    for repo in set(hub.repos) - {BASE}:
        del hub.repos[repo]
    hub.blobs.clear()
    hub.calls.clear()
    hub.fail = lambda _method, _path: None
    return hub


@pytest.fixture
def adapter(world, tmp_path):
    """A copy of the adapter's run."""
    root, _ = world
    return shutil.copytree(root / "sft", tmp_path / "run")


def refused(capsys, *arguments):
    assert push(*arguments) == 2
    *before, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "Traceback" not in "".join(before)
    return error


def test_a_pushed_adapter_comes_back_with_an_empty_cache_and_the_same_logits(
    hub, adapter, tmp_path, capsys
):
    assert push(adapter, ADAPTER, "--private") == 0
    assert capsys.readouterr().out.strip() == f"{hub.url}/{ADAPTER}"
    assert ADAPTER in hub.private
    assert set(hub.repos[ADAPTER]) == {
        "README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "streaming.json", "origin.json", "provenance.json", "verify.logits", "config.yaml",
    }  # fmt: skip
    environment = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        **dict.fromkeys(("HOME", "HF_HOME"), str(tmp_path / "elsewhere")),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
    }
    found = subprocess.run(  # a fresh process, in another directory
        [sys.executable, "-m", "adasr_trl", "verify", ADAPTER, "--device", "cpu"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    said = re.search(r"the same model: logits differ by (\S+) .*allowed 1e-05", found.stdout)
    assert said, found.stdout
    assert float(said[1]) <= 1e-5


def test_plain_peft_loads_a_pushed_adapter_with_the_same_logits(hub, adapter):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert push(adapter, ADAPTER) == 0
    base = AutoModelForCausalLM.from_pretrained(BASE)
    bare = compare(load_probe(adapter), base).largest
    assert bare > 1e-3
    assert compare(load_probe(adapter), PeftModel.from_pretrained(base, ADAPTER)).largest <= 1e-5


def test_a_merged_model_replaces_the_adapter_and_reads_the_same(hub, adapter, capsys):
    assert push(adapter, MERGED) == 0
    assert push(adapter, MERGED, "--merge") == 0
    assert "model.safetensors" in hub.repos[MERGED]
    assert not {"adapter_config.json", "adapter_model.safetensors", "origin.json"} & set(
        hub.repos[MERGED]
    )
    capsys.readouterr()
    assert adasr(["verify", MERGED, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "allowed 0.001 for a merged adapter" in said
    assert float(said.split("differ by ")[1].split()[0]) < 1e-5
    texts = []
    for path in (adapter, MERGED):
        stream = StreamingReasoner.from_pretrained(path, device="cpu").start("How many?")
        stream.feed("Tom has 5 coins. Tom finds 3 coins.")
        stream.finish()
        texts.append(stream.rollout.token_ids)
    assert texts[0] == texts[1]


@pytest.mark.parametrize("broken", ["/blobs/", "/commit/", "/lfs/objects/batch"])
def test_a_push_that_failed_half_way_shows_nothing_and_the_same_command_completes_it(
    hub, adapter, capsys, broken
):
    hub.fail = lambda _method, path: 403 if broken in path else None
    error = refused(capsys, adapter, ADAPTER)
    assert "the same command goes on" in error
    assert "403" in error
    assert not hub.repos[ADAPTER]
    arrived = len(hub.blobs)
    hub.fail = lambda _method, _path: None
    hub.calls.clear()
    assert push(adapter, ADAPTER) == 0
    assert "adapter_model.safetensors" in hub.repos[ADAPTER]
    sent = [path for method, path in hub.calls if method == "PUT"]
    assert len(sent) == 1 - arrived  # the adapter: what had arrived is not sent again
    assert arrived == (1 if broken == "/commit/" else 0)


def test_a_dry_run_lists_the_files_and_prints_the_card_and_asks_the_hub_nothing(
    hub, adapter, capsys
):
    assert push(adapter, ADAPTER, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "adapter_model.safetensors" in said
    assert "# adapter" in said
    assert not hub.calls


def test_the_cards_numbers_are_those_of_the_records(adapter):
    card = write_card(adapter, Described(ADAPTER, BASE, adapter=True))
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in card.splitlines()
        if line.startswith(("| streaming |", "| read-then-think |"))
    ]
    assert len(rows) == 4
    for row in rows:
        mode = Mode.STREAMING if row[0] == "streaming" else Mode.READ_THEN_THINK
        setting = Setting(mode, 0.0 if row[1] == "greedy" else 1.0)
        outcomes = load_outcomes(adapter / "eval", setting)
        n, right = len(outcomes), sum(each.right for each in outcomes)
        assert int(row[2]) == n == 6
        assert float(row[3].split()[0]) == pytest.approx(right / n, abs=5e-4)
        tokens = sum(each.total_tokens for each in outcomes) / n
        assert float(row[6]) == pytest.approx(tokens, abs=0.05)
        seconds = sum(each.answer_latency_seconds for each in outcomes) / n
        assert float(row[9]) == pytest.approx(seconds, abs=5e-3)


def test_the_card_names_base_data_protocol_command_and_tags(adapter):
    card = write_card(adapter, Described(ADAPTER, BASE, adapter=True))
    front = yaml.safe_load(card.split("---")[1])
    assert front["base_model"] == BASE
    assert front["library_name"] == "peft"
    assert front["tags"] == ["adasr", "streaming-reasoning", "hrpo", "trl", "peft"]
    assert "| ledger |" in card
    assert "| Apache-2.0 | train | 48 |" in card
    assert "Layout: interleaved." in card
    assert "150 words a minute" in card
    assert "adasr sft --config" in card
    assert "trl 1.16" in card


CARD = "---\nlicense: {}\n---\n# A base\n"


def test_the_card_passes_on_the_licence_that_the_bases_card_states(hub, adapter):
    own = hub.repos[BASE]["README.md"]
    assert b"license" not in own  # of a model that was made here: nobody stated one
    hub.repos[BASE]["README.md"] = CARD.format("apache-2.0").encode()
    try:
        assert push(adapter, ADAPTER) == 0
    finally:
        hub.repos[BASE]["README.md"] = own
    card = hub.repos[ADAPTER]["README.md"].decode()
    assert ModelCard(card).data.license == "apache-2.0"
    assert "the base model's (apache-2.0, as its card states)" in card


def test_a_licence_of_a_base_that_states_none_is_left_out(hub, adapter):
    assert push(adapter, ADAPTER) == 0
    card = hub.repos[ADAPTER]["README.md"].decode()
    assert ModelCard(card).data.license is None
    assert "the base's card states none" in card


def test_a_card_that_the_hub_does_not_take_is_said_in_one_line(hub, adapter, capsys):
    own = hub.repos[BASE]["README.md"]
    hub.repos[BASE]["README.md"] = CARD.format("my-own").encode()
    try:
        error = refused(capsys, adapter, ADAPTER)
    finally:
        hub.repos[BASE]["README.md"] = own
    assert 'Invalid metadata in README.md. - "license" must be one of' in error


def test_a_run_without_provenance_has_no_card(adapter):
    (adapter / "provenance.json").unlink()
    with pytest.raises(UserError, match="sources and licences of the run's data are unknown"):
        write_card(adapter, Described(ADAPTER, BASE, adapter=True))


def test_the_card_of_an_hrpo_run_names_the_method_in_full_at_its_first_mention(adapter):
    identity = json.loads((adapter / "run.json").read_text())
    identity["identity"]["command"] = "hrpo"
    (adapter / "run.json").write_text(json.dumps(identity))
    body = write_card(adapter, Described(ADAPTER, BASE, adapter=True)).split("---", 2)[2]
    first = body.index("HRPO")
    assert body[first:].startswith("HRPO (hierarchical relative policy optimization)")


def test_a_run_without_an_evaluation_is_refused_unless_one_insists(hub, adapter, capsys):
    shutil.rmtree(adapter / "eval")
    error = refused(capsys, adapter, ADAPTER)
    assert "adasr eval" in error
    assert "--without-eval" in error
    assert push(adapter, ADAPTER, "--without-eval", "--dry-run") == 0
    assert "without an evaluation" in capsys.readouterr().out


def test_an_evaluation_of_another_run_is_refused(hub, adapter, capsys):
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert "evaluates another run" in refused(capsys, adapter, ADAPTER)


def test_an_unfinished_run_is_refused(hub, adapter, capsys):
    identity = json.loads((adapter / "run.json").read_text())
    (adapter / "run.json").write_text(json.dumps({**identity, "complete": False}))
    assert "--resume" in refused(capsys, adapter, ADAPTER)


@pytest.mark.parametrize("repo", ["adapter", "me/a b", "a/b/c", "../x/y"])
def test_a_name_that_is_no_hub_id_is_refused(hub, adapter, capsys, repo):
    assert "OWNER/NAME" in refused(capsys, adapter, repo)


def test_a_secret_is_named_by_file_and_line_and_never_printed(hub, adapter, capsys):
    secret = "hf_" + "Ab3" * 11
    with (adapter / "config.yaml").open("a") as out:
        out.write(f"note: x\nhub: {secret}\n")
    lines = len((adapter / "config.yaml").read_text().splitlines())
    error = refused(capsys, adapter, ADAPTER)
    assert f"config.yaml: line {lines} looks like a secret (Hugging Face token)" in error
    assert secret not in error
    assert {method for method, _path in hub.calls} <= {
        "GET",
        "HEAD",
    }  # the base's card is asked for


def test_records_go_along_only_where_every_licence_lets_their_rows_be_passed_on(
    hub, adapter, capsys
):
    assert push(adapter, ADAPTER, "--dry-run", "--with-records") == 0
    said = capsys.readouterr().out
    assert "eval/episodes.jsonl" in said
    assert "holds the questions" in said
    path = adapter / "eval" / "episodes.jsonl"
    rows = list(read_episodes(path))
    source = dataclasses.replace(rows[2].source, licence="CC BY-NC-ND 4.0")
    rows[2] = dataclasses.replace(rows[2], source=source)
    write_episodes(path, rows)
    error = refused(capsys, adapter, ADAPTER, "--with-records")
    assert "CC BY-NC-ND 4.0" in error
    assert "--with-records" in error
    assert push(adapter, ADAPTER) == 0  # without them
    assert not any(name.endswith(".jsonl") for name in hub.repos[ADAPTER])


def test_an_adapter_on_a_directory_of_this_machine_is_refused_but_for_merging(
    hub, adapter, world, capsys
):
    root, _ = world
    shutil.rmtree(adapter / "eval")  # it was made on the Hub's base
    origin = json.loads((adapter / "origin.json").read_text())
    (adapter / "origin.json").write_text(json.dumps({**origin, "path": str(root / "base")}))
    assert "--merge" in refused(capsys, adapter, ADAPTER)
    (adapter / "origin.json").write_text(json.dumps({**origin, "path": "runs/base"}))
    assert "--merge" in refused(capsys, adapter, ADAPTER)  # pushed from another directory
    (adapter / "origin.json").write_text(json.dumps({**origin, "path": str(root / "base")}))
    assert push(adapter, ADAPTER, "--merge", "--dry-run", "--without-eval") == 0
    assert "base_model" not in capsys.readouterr().out.split("---")[1]


def test_a_hub_that_refuses_the_token_or_is_away_is_one_line(hub, adapter, capsys, monkeypatch):
    hub.fail = lambda _method, path: 401 if "create" in path else None
    assert "HF_TOKEN" in refused(capsys, adapter, ADAPTER)
    monkeypatch.setattr(hub_constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the same command goes on" in refused(capsys, adapter, ADAPTER)


def test_a_repository_that_is_not_there_is_named(hub, capsys):
    assert adasr(["verify", "me/nothing"]) == 2
    assert "me/nothing: cannot be loaded from the Hub" in capsys.readouterr().err


def test_every_evaluation_of_a_run_is_in_the_card(adapter):
    shutil.copytree(adapter / "eval", adapter / "eval-far")
    assert [path.name for path in evaluations(adapter)] == ["eval", "eval-far"]
    card = write_card(adapter, Described(ADAPTER, BASE, adapter=True))
    assert "Questions `far`" in card
    outcomes = load_outcomes(adapter / "eval", recorded_settings(adapter / "eval")[0])
    assert card.count(f"| {summarise_seeds([outcomes]).accuracy:.3f} |") >= 2


def test_weights_that_were_changed_are_not_the_model_that_was_trained(hub, adapter, capsys):
    from safetensors.torch import load_file, save_file

    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, path, {"format": "pt"})
    assert adasr(["verify", str(adapter), "--device", "cpu"]) == 1
    assert capsys.readouterr().out.startswith("NOT the model that was trained")
    assert torch.is_tensor(load_probe(adapter).logits_TK)
