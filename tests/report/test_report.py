"""The report's page: its numbers from the records by another road, its text as text, and what it refuses."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
import statistics
from html.parser import HTMLParser
from pathlib import Path

import pytest

from adasr_trl.cli.main import main
from adasr_trl.core.errors import UserError
from adasr_trl.report import Options, Wanted, write_report
from support import reported
from support.json_lines import json_lines


class Reader(HTMLParser):
    """The tables by id, the scripts by type, and every address that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.policy = self.text = ""
        self._table = self._script = ""
        self._in_cell = False

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [given[name] for name in ("src", "href", "xlink:href") if name in given]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if tag == "table":
            self._table = given.get("id", "")
            self.tables.setdefault(self._table, [])
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self._in_cell = True
            self.tables[self._table][-1].append("")
        elif tag == "script":
            self._script = given.get("type", "text/javascript")
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        self._in_cell = self._in_cell and tag not in ("td", "th")
        self._script = "" if tag == "script" else self._script

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] += data
            return
        self.text += data
        if self._in_cell:
            self.tables[self._table][-1][-1] += data


def read(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return reported.comparison(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(root):
    return read(write_report([str(root)], root / "report.html"))


def recomputed(root: Path, method: str) -> list[dict[str, float]]:
    """Every rollout of a method, judged and timed straight from the JSON of its records, by none of our functions.

    150 words a minute, 30 ms a written token, 0.5 ms a read one; an end is hidden if it lies before the last arrival.
    """
    found = []
    for seed in range(2):
        folder = root / f"seed-{seed}" / method / "eval"
        asked = json_lines(folder / "episodes.jsonl")
        said = json_lines(folder / "streaming-temperature-0.jsonl")
        for episode, record in zip(asked, said, strict=True):
            found.append(judged(episode, record))
    return found


def judged(episode, record):
    chunks = len(episode["chunks"])
    read, written = [0] * (chunks + 1), [0] * (chunks + 1)
    for phase, chunk in zip(record["phases"], record["chunk_of_token"], strict=True):
        if chunk >= 0:
            (read if phase == "R" else written)[chunk] += 1
    now = arrived = hidden = 0.0
    words = 0
    for k in range(chunks):
        words += len(episode["chunks"][k].split())
        arrived = words * 0.4
        now = max(now, arrived) + read[k] * 0.0005
        now += written[k] * 0.03
        episode.setdefault("spans", []).append((now - written[k] * 0.03, now))
    for start, end in episode["spans"]:
        hidden += max(0.0, min(end, arrived) - start)
    backlog = max(0.0, now - arrived)
    thinking = sum(written) * 0.03
    return {
        "right": record["ending"] == "answered" and record["answer"] == episode["answer"],
        "streaming": sum(written[:chunks]),
        "deep": written[chunks],
        "skip": record["thought_endings"].count("skip") / chunks,
        "answered": record["ending"] == "answered",
        "backlog": backlog,
        "wait": backlog + read[chunks] * 0.0005 + record["answer_tokens"] * 0.03,
        "overlap": hidden / thinking,
        "spans": episode["spans"],
    }


@pytest.mark.parametrize("method", ["sft", "hrpo"])
def test_every_number_of_the_table_is_one_recomputed_from_the_records(root, page, method):
    rows = recomputed(root, method)
    (line,) = [row for row in page.tables["methods"] if row[0] == method]

    def mean(key):
        return statistics.fmean(row[key] for row in rows)

    waits = sorted(row["wait"] for row in rows)
    at = 0.95 * (len(waits) - 1)
    p95 = waits[int(at)] + (at - int(at)) * (waits[int(at) + 1] - waits[int(at)])
    assert line[1].startswith(f"{mean('right'):.3f} (")
    assert line[2:] == [
        f"{mean('streaming'):.1f}",
        f"{mean('deep'):.1f}",
        f"{mean('streaming') + mean('deep'):.1f}",
        f"{mean('skip'):.2f}",
        f"{mean('answered'):.3f}",
        f"{mean('backlog'):.2f}",
        f"{mean('wait'):.2f}",
        f"{p95:.2f}",
        f"{mean('overlap'):.2f}",
    ]


def bootstrap(by_seed: list[list[float]], draws: int = 3000) -> tuple[float, float]:
    """The middle 95 % of means over drawn seeds and drawn questions, with another generator than the page's."""
    dice, means = random.Random(7), []
    for _ in range(draws):
        seeds = [dice.randrange(len(by_seed)) for _ in by_seed]
        asked = [dice.randrange(len(by_seed[0])) for _ in by_seed[0]]
        means.append(statistics.fmean(by_seed[s][q] for s in seeds for q in asked))
    means.sort()
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def interval(cell: str) -> list[float]:
    """``0.5 (0.4 to 0.6)`` as three numbers."""
    return [float(each) for each in re.findall(r"[-+]?[0-9.]+", cell)]


def test_a_method_of_two_seeds_has_the_interval_of_drawn_seeds_and_questions(root, page):
    right = [float(row["right"]) for row in recomputed(root, "sft")]
    (line,) = [row for row in page.tables["methods"] if row[0] == "sft"]
    low, high = bootstrap([right[:40], right[40:]])
    assert interval(line[1])[1:] == pytest.approx([low, high], abs=0.02)


def test_a_method_of_one_seed_has_wilsons_interval(root, tmp_path):
    out = write_report([f"{root}/seed-0/sft"], tmp_path / "one.html")
    line = read(out).tables["methods"][1]
    p, n, z = statistics.fmean(row["right"] for row in recomputed(root, "sft")[:40]), 40, 1.96
    centre, half = p + z * z / 80, z * math.sqrt(p * (1 - p) / n + z * z / 6400)
    scale = 1 + z * z / n
    expected = [p, (centre - half) / scale, (centre + half) / scale]
    assert interval(line[1]) == pytest.approx(expected, abs=6e-4)


def test_the_differences_are_means_of_differences_on_the_same_questions(root, page):
    sft, hrpo = recomputed(root, "sft"), recomputed(root, "hrpo")
    header, line = page.tables["differences"]
    won = sum(b["right"] > a["right"] for a, b in zip(sft, hrpo, strict=True))
    lost = sum(b["right"] < a["right"] for a, b in zip(sft, hrpo, strict=True))
    assert header[0] == "minus sft"
    assert line[0] == "hrpo"
    for cell, unit, value in (
        (line[1], 100, lambda row: row["right"]),
        (line[2], 1, lambda row: row["streaming"] + row["deep"]),
        (line[3], 1, lambda row: row["wait"]),
    ):
        gains = [unit * (value(b) - value(a)) for a, b in zip(sft, hrpo, strict=True)]
        mean, low, high = interval(cell)
        assert mean == pytest.approx(statistics.fmean(gains), abs=0.051)
        near = 0.15 * (high - low) + 0.051
        assert [low, high] == pytest.approx(list(bootstrap([gains[:40], gains[40:]])), abs=near)
    assert line[4] == f"{won} / {lost}"
    assert line[5] == "-"  # of two seeds, whose answers to one question are not independent


def test_the_numbers_beside_the_charts_are_the_tables(page):
    charts = [row for name, table in page.tables.items() if not name for row in table]
    for method in page.tables["methods"][1:]:
        seconds, (mean, low, high) = method[8], interval(method[1])
        (pareto,) = [row for row in charts if row[0] == method[0] and row[-1] in ("yes", "no")]
        assert pareto[1:3] == [seconds, f"{mean:.3f} ({low:.3f} to {high:.3f})"]
        assert [method[0], *method[2:4]] in charts  # lengths


def test_the_viewer_has_the_times_and_verdicts_of_every_rollout(root, page):
    shown = json.loads(page.scripts["application/json"])
    names = [run["name"] for run in shown["runs"]]
    assert names == ["sft, seed-0", "sft, seed-1", "hrpo, seed-0", "hrpo, seed-1"]
    rollouts = [rollout for run in shown["runs"][2:] for rollout in run["rollouts"]]
    for rollout, row in zip(rollouts, recomputed(root, "hrpo"), strict=True):
        assert rollout["right"] == row["right"]
        assert rollout["finish"] == pytest.approx([end for _, end in row["spans"]], abs=6e-4)
        assert rollout["start"] == pytest.approx([begin for begin, _ in row["spans"]], abs=6e-4)
        assert rollout["overlap"] == pytest.approx(row["overlap"], abs=6e-4)
        assert rollout["end"] - rollout["deepStart"] == pytest.approx(0.03 * row["deep"], abs=2e-3)
        assert rollout["ends"].count("skip") / 3 == row["skip"]
        assert rollout["answerLatency"] == pytest.approx(row["wait"], abs=6e-4)
        assert rollout["backlog"] == pytest.approx(row["backlog"], abs=6e-4)
        assert sum(rollout["tokens"]) == row["streaming"]
        assert rollout["deepTokens"] == row["deep"]


def test_the_numbers_beside_a_curve_are_means_of_fifths(page):
    (line,) = [row for row in page.tables[""] if row[0] == "hrpo" and row[1] == "0.15"]
    assert line[1:] == ["0.15", "0.35", "0.55", "0.75", "0.95"]  # of 0.1, 0.2 ... 1.0


def test_text_of_a_rollout_cannot_become_markup_or_leave_the_page(root, page):
    text = (root / "report.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "\x1b" not in text
    shown = json.loads(page.scripts["application/json"])
    assert "</script><img src=x onerror=alert(1)>" in shown["questions"][0]["question"]
    assert all(address.startswith("#") for address in page.addresses)
    assert page.policy.startswith(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"
    )
    assert not re.search(r"url\((?!#)", text)


def test_the_first_view_is_a_right_answer_beside_the_reference(page):
    shown = json.loads(page.scripts["application/json"])
    start = shown["start"]
    assert [shown["runs"][start[key]]["name"] for key in ("first", "second")] == [
        "hrpo, seed-0",
        "sft, seed-0",
    ]
    rollouts = shown["runs"][start["first"]]["rollouts"]
    assert rollouts[start["question"]]["right"]
    assert not any(
        rollout["right"] and set(rollout["ends"]) != {"skip"}
        for rollout in rollouts[: start["question"]]
    )


def test_no_id_stands_twice(page):
    assert len(page.ids) == len(set(page.ids))


def test_runs_of_their_own_are_reported_by_name(root, tmp_path):
    runs = [f"before={root}/seed-0/sft", f"after={root}/seed-0/hrpo"]
    out = tmp_path / "deep" / "own.html"
    assert main(["report", *runs, "--out", str(out), "--reference", "before"]) == 0
    assert [row[0] for row in read(out).tables["methods"]] == ["method", "before", "after"]


def test_the_viewer_holds_no_more_questions_than_asked(root, tmp_path):
    out = write_report([str(root)], tmp_path / "few.html", Options(questions=3))
    shown = json.loads(read(out).scripts["application/json"])
    assert len(shown["questions"]) == len(shown["runs"][0]["rollouts"]) == 3


def test_a_run_is_shown_in_each_setting_that_is_named(root, tmp_path):
    run = shutil.copytree(root / "seed-0" / "sft", tmp_path / "sft")
    greedy = run / "eval" / "streaming-temperature-0.jsonl"
    shutil.copy(greedy, greedy.with_name("streaming-temperature-0.7.jsonl"))
    names = ["streaming-temperature-0", "streaming-temperature-0.7"]
    flags = [flag for name in names for flag in ("--setting", name)]
    assert main(["report", str(run), *flags, "--out", str(tmp_path / "both.html")]) == 0
    page = read(tmp_path / "both.html")
    assert [row[0] for row in page.tables["methods"][1:]] == [f"sft, {name}" for name in names]
    assert "streaming, greedy (sft, streaming-temperature-0); streaming, sampled" in page.text
    (curve,) = [row for row in page.tables[""] if row[1:2] == ["0.15"]]  # one run, drawn once
    assert curve[0] == "sft"


def test_records_of_a_named_evaluation_are_found(root, tmp_path):
    run = shutil.copytree(root / "seed-0" / "sft", tmp_path / "sft")
    (run / "eval").rename(run / "eval-far")
    out = write_report([str(run)], tmp_path / "far.html", Options(Wanted(name="far")))
    assert len(read(out).tables["methods"]) == 2
    with pytest.raises(UserError, match=r"eval: holds no records; run adasr eval on it first"):
        write_report([str(run)], tmp_path / "none.html")


def test_seeds_are_paired_by_their_number_not_by_their_place(root, tmp_path):
    shutil.copytree(root, tmp_path / "runs")
    shutil.rmtree(tmp_path / "runs" / "seed-0" / "hrpo")
    page = read(write_report([str(tmp_path / "runs")], tmp_path / "page.html"))
    sft, hrpo = recomputed(root, "sft")[40:], recomputed(root, "hrpo")[40:]
    won = sum(b["right"] > a["right"] for a, b in zip(sft, hrpo, strict=True))
    lost = sum(b["right"] < a["right"] for a, b in zip(sft, hrpo, strict=True))
    assert page.tables["differences"][1][4] == f"{won} / {lost}"


def test_a_name_is_text_in_the_charts_too(root, tmp_path):
    name = "_a$x_^{$<b>&"
    out = write_report([f"{name}={root}/seed-0/sft"], tmp_path / "name.html")
    assert '%">_a$x_^{$&lt;b&gt;&amp;</span>' in out.read_text(encoding="utf-8")
    assert read(out).tables["methods"][1][0] == name


def test_what_is_being_logged_or_is_not_finite_is_left_out(root, tmp_path):
    run = shutil.copytree(root / "seed-0" / "sft", tmp_path / "sft")
    with (run / "metrics.jsonl").open("a") as out:
        out.write('{"step": 11, "accuracy": NaN}\n{"step": 12, "accu')
    (line,) = [
        row
        for row in read(write_report([str(run)], tmp_path / "page.html")).tables[""]
        if row[1:2] == ["0.15"]
    ]
    assert line[1:] == ["0.15", "0.35", "0.55", "0.75", "0.95"]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("eval/streaming-temperature-0.jsonl", '"q-2"', '"q-3"', ":3: not a record"),
        ("eval/streaming-temperature-0.jsonl", '{"episode_id": "q-1"', "{", ":2: not a record"),
        ("eval/streaming-temperature-0.jsonl", '"q-4", "', '"q-4" "', ":5: not a record"),
        ("metrics.jsonl", '"step": 3,', '"step" 3,', "metrics.jsonl:3: no line of metrics"),
        (
            "metrics.jsonl",
            '"step": 3,',
            '"step": "3",',
            "metrics.jsonl:3: no line of metrics of one run (its step is no number)",
        ),
        (
            "metrics.jsonl",
            '"step": 3,',
            '"step": 1,',
            "metrics.jsonl:3: no line of metrics of one run (step 1 behind",
        ),
        ("streaming.json", '"clock": {', '"clock": {"x": 1, ', "streaming.json: not as a run"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(root, tmp_path, file, old, new, said):
    run = shutil.copytree(root / "seed-0" / "sft", tmp_path / "sft")
    text = (run / file).read_text(encoding="utf-8")
    assert old in text
    (run / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(said)):
        write_report([str(run)], tmp_path / "none.html")


def test_records_that_end_too_early_are_refused(root, tmp_path):
    run = shutil.copytree(root / "seed-0" / "sft", tmp_path / "sft")
    file = run / "eval" / "streaming-temperature-0.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"jsonl:40: not a record"):
        write_report([str(run)], tmp_path / "none.html")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["nowhere"], Options(), "nowhere: neither a run"),
        (
            ["{root}"],
            Options(Wanted(temperature=1.0)),
            "no records of temperature 1; those of 0 are there",
        ),
        (["{root}"], Options(reference="ppo"), "--reference: got 'ppo'; expected one of sft, hrpo"),
        (["{root}", "{other}"], Options(), "answered other questions than"),
        (["{root}"], Options(Wanted(("x",))), "it has no such records; expected one of streaming-"),
        (["{root}"], Options(questions=0), "--questions: got 0; expected 1 or more"),
        (["a={root}"], Options(), "neither a run"),
        (["={other}"], Options(), "got no name before =; expected NAME=RUN"),
    ],
)
def test_what_cannot_be_reported_is_refused_by_name(root, tmp_path, arguments, options, said):
    other = reported.run(tmp_path / "other", 5, 0, 0.5)
    paths = [each.format(root=root, other=other) for each in arguments]
    with pytest.raises(UserError, match=re.escape(said)):
        write_report(paths, tmp_path / "none.html", options)
    assert not (tmp_path / "none.html").exists()
