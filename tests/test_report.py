"""The report's page: its numbers from the records by another road, its text as text, and what it refuses."""

from __future__ import annotations

import json
import re
import statistics
from html.parser import HTMLParser
from pathlib import Path

import pytest
import reported

from adasr_trl.cli import main
from adasr_trl.files import UserError
from adasr_trl.report import Options, write_report


class Reader(HTMLParser):
    """The tables by id, the scripts by type, and every address that the page names."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.scripts: dict[str, str] = {}
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.policy = ""
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
        elif self._in_cell:
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
        asked = [json.loads(line) for line in (folder / "episodes.jsonl").open()]
        said = [json.loads(line) for line in (folder / "streaming-temperature-0.jsonl").open()]
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
        f"{statistics.median(waits):.2f}",
        f"{p95:.2f}",
        f"{mean('overlap'):.2f}",
    ]


def test_the_differences_are_means_of_differences_on_the_same_questions(root, page):
    sft, hrpo = recomputed(root, "sft"), recomputed(root, "hrpo")
    header, line = page.tables["differences"]
    points = 100 * statistics.fmean(b["right"] - a["right"] for a, b in zip(sft, hrpo, strict=True))
    wait = statistics.fmean(b["wait"] - a["wait"] for a, b in zip(sft, hrpo, strict=True))
    won = sum(b["right"] > a["right"] for a, b in zip(sft, hrpo, strict=True))
    lost = sum(b["right"] < a["right"] for a, b in zip(sft, hrpo, strict=True))
    assert header[0] == "minus sft"
    assert line[0] == "hrpo"
    assert line[1].startswith(f"{points:+.1f} (")
    assert line[3].startswith(f"{wait:+.2f} (")
    assert line[4] == f"{won} / {lost}"


def test_the_viewer_has_the_times_and_verdicts_of_every_rollout(root, page):
    shown = json.loads(page.scripts["application/json"])
    assert [run["name"] for run in shown["runs"]] == ["sft", "hrpo"]
    rows = recomputed(root, "hrpo")[:40]  # the first seed's
    for rollout, row in zip(shown["runs"][1]["rollouts"], rows, strict=True):
        assert rollout["right"] == row["right"]
        assert rollout["wait"] == pytest.approx(row["wait"], abs=6e-4)
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


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (["nowhere"], Options(), "nowhere: neither a run"),
        (["{root}"], Options(temperature=1.0), "no records of temperature 1; those of 0 are there"),
        (["{root}"], Options(reference="ppo"), "--reference: got 'ppo'; expected one of sft, hrpo"),
        (["{root}", "{other}"], Options(), "answered other questions than"),
    ],
)
def test_what_cannot_be_reported_is_refused_by_name(root, tmp_path, arguments, options, said):
    other = reported.run(tmp_path / "other", 5, 0, 0.5)
    paths = [each.format(root=root, other=other) for each in arguments]
    with pytest.raises(UserError, match=re.escape(said)):
        write_report(paths, tmp_path / "none.html", options)
    assert not (tmp_path / "none.html").exists()
