"""Untrusted texts through builder, tokenizers, live use, terminal and report: shown whole, obeyed nowhere.

Each text has a seed; a failure names it, and ``untrusted_text(seed)`` gives the text again.
"""

from __future__ import annotations

import dataclasses
import io
import json
import random
import shutil

import pytest
from rich.console import Console

from adasr_trl.cli.show import plain, render
from adasr_trl.core.clock import Clock
from adasr_trl.core.episode import AnswerType, read_episodes, write_episodes
from adasr_trl.core.protocol import Ending, Markers, first_marker, thought_text
from adasr_trl.core.rollout import to_record
from adasr_trl.core.safe_text import visible
from adasr_trl.layouts.codec import Codec
from adasr_trl.live.stream import EventKind
from adasr_trl.report import write_report
from support import reported
from support.building import custom, manifest, write_rows
from support.live_use import reasoner_of
from support.other_families import FAMILIES, byte_fallback_tokenizer, of_family, small_tokenizer
from support.settings import PARALLEL, STREAMING
from support.untrusted import FLAG, HALF_PAIR, is_text, untrusted_text

FEW, MANY = 60, 1000
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
counted = pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])


def texts(count: int) -> dict[int, str]:
    """Texts that are text, by their seeds."""
    return {seed: text for seed in range(count) if is_text(text := untrusted_text(seed))}


@counted
def test_a_build_loses_no_character_and_rejects_only_what_is_no_text(tmp_path, count):
    given = {seed: untrusted_text(seed) for seed in range(count)}
    rows = [
        {"ask": untrusted_text(count + seed), "story": text, "gold": "it", "n": str(seed)}
        for seed, text in given.items()
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    out = tmp_path / "out"
    assert custom(path, out, "--test-share", "0", "--id-column", "n") == 0
    built = {int(episode.id): episode for episode in read_episodes(out / "train.jsonl")}
    for row in rows:
        seed = int(row["n"])
        is_good = is_text(row["story"]) and is_text(row["ask"])
        assert (seed in built) == is_good, seed
        if is_good:
            assert built[seed].text == row["story"], seed
            assert built[seed].question == row["ask"].strip(), seed
            assert all(chunk.strip() for chunk in built[seed].chunks), seed
    rejected = manifest(out)["rejected"]["by_reason"]
    assert sum(rejected.values()) == count - len(built)


def codecs(tokenizer) -> dict[str, Codec]:
    small = small_tokenizer()
    plain_markers = Markers("<<", ">>", "~~", "##", "||")
    families = {name: Codec(of_family(small, name), plain_markers) for name in FAMILIES}
    fallback = Codec(byte_fallback_tokenizer(), plain_markers)
    return {"scratch": Codec(tokenizer, Markers()), "byte fallback": fallback, **families}


@counted
def test_no_control_token_comes_from_text_and_no_character_is_lost(tokenizer, count):
    for name, codec in codecs(tokenizer).items():
        added = set(codec.tokenizer.get_added_vocab().values())
        for seed, text in texts(count).items():
            ids = codec.encode_data(text)
            assert added.isdisjoint(ids), (name, seed)
            # SentencePiece's mark for a space is read as one.
            expected = text.replace("▁", " ") if name == "byte fallback" else text
            assert codec.decode(ids) in (expected, f" {expected}"), (name, seed)


@counted
@pytest.mark.parametrize("streaming", [STREAMING, PARALLEL], ids=lambda s: s.layout)
def test_live_use_reads_every_character_and_writes_no_control_of_it(
    taught, tokenizer, streaming, count
):
    short = dataclasses.replace(streaming, max_thought_tokens=2, max_deep_tokens=4)
    reasoner = reasoner_of(taught, tokenizer, short)
    for seed, text in texts(count).items():
        dice, start = random.Random(seed), 0
        stream = reasoner.start("What is it?", seed=seed)
        events = []
        while start < len(text):
            end = start + dice.randint(1, 40)
            events += stream.feed(text[start:end])
            start = end
        events += stream.finish()
        read = "".join(event.text for event in events if event.kind is EventKind.READ)
        cut_short = stream.ended_early and text.startswith(read)
        assert read == text or cut_short, seed
        written = [event for event in events if event.kind is not EventKind.READ]
        assert not any(first_marker(e.text, streaming.markers) for e in written), seed


def hostile_episode(seed: int):
    """An episode and a malformed rollout of it that hold the texts of some seeds, markers included."""
    dice = random.Random(seed)
    drawn = iter(untrusted_text(dice.randrange(10**6)) for _ in range(99))
    text = iter([each for each in drawn if is_text(each)])
    episode = dataclasses.replace(
        reported.episode(seed),
        question=f"{seed} {next(text)}",
        chunks=tuple(f"{' ' if k else ''}{next(text)}" for k in range(3)),
        answer="it",
        answer_type=AnswerType.TEXT,
    )
    rollout = reported.rollout(episode, dice, right=0.5)
    rollout = dataclasses.replace(
        rollout,
        thoughts=tuple(thought and next(text) for thought in rollout.thoughts),
        deep=f"{next(text)} {HALF_PAIR}<EOT>beyond",
        answer=next(text),
        ending=Ending.MALFORMED if dice.random() < 0.5 else rollout.ending,
    )
    return episode, rollout


def is_harmless(character: str) -> bool:
    return character == "\n" or visible(character) == character


@counted
def test_a_terminal_gets_no_control_character_and_no_marker_that_the_model_wrote(count):
    for seed in range(count):
        episode, rollout = hostile_episode(seed)
        shown = plain(rollout, episode, Clock())
        console = Console(
            file=io.StringIO(),
            width=120,
            force_terminal=True,
            color_system=None,
            legacy_windows=False,
        )
        console.print(render(rollout, episode, Clock()))
        for text in (shown, console.file.getvalue()):
            assert all(map(is_harmless, text)), seed
            assert "beyond" not in text, seed


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH; apt-get install chromium")
@counted
def test_a_report_shows_every_text_whole_and_runs_none(tmp_path, count):
    from playwright.sync_api import sync_playwright

    run = reported.run(tmp_path / "run", 1, 0, 0.5)
    pairs = [hostile_episode(seed) for seed in range(count)]
    write_episodes(run / "eval" / "episodes.jsonl", [episode for episode, _ in pairs])
    records = [json.dumps(to_record(rollout)) for _, rollout in pairs]
    (run / "eval" / "streaming-temperature-0.jsonl").write_text("\n".join(records) + "\n")
    report = write_report([str(run)], tmp_path / "report.html")
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda asked: said.append(asked.url))
        page.goto(report.as_uri())
        shown = page.evaluate(SHOWN)
        ran = page.evaluate(f"window.{FLAG}")
        browser.close()
    assert said == [report.as_uri()]
    assert ran is None
    for seed, ((episode, rollout), parts) in enumerate(zip(pairs, shown, strict=True)):
        assert parts["asked"] == visible(episode.question), seed
        sentences = [f"{k + 1} {visible(c.strip())}" for k, c in enumerate(episode.chunks)]
        assert parts["sentences"] == sentences, seed
        for thought in rollout.thoughts:
            assert visible(thought_text(thought, Markers())) in parts["whole"], seed
        assert "beyond" not in parts["whole"], seed


SHOWN = """() => {
  const list = document.getElementById("questions");
  return [...list.options].map((option) => Number(option.value)).sort((a, b) => a - b).map((q) => {
    list.value = String(q);
    list.dispatchEvent(new Event("change"));
    const shown = document.getElementById("shown");
    return {
      asked: shown.querySelector(".asked").textContent,
      sentences: [...shown.querySelectorAll(".sentence")].map((each) => each.textContent),
      whole: shown.textContent,
    };
  });
}"""
