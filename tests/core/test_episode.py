"""Episodes as JSON Lines: what is read, what is refused and where, and that files are whole or absent."""

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adasr_trl.core.episode import (
    AnswerType,
    Episode,
    EpisodeError,
    Source,
    from_json,
    read_episodes,
    to_json,
    write_episodes,
)
from adasr_trl.core.files import atomic_writer
from adasr_trl.training.mixture import EpisodeFile

TOM = Episode(
    id="ledger-7",
    group="ledger",
    question="How many apples has Tom?",
    chunks=("Tom has 5 apples.", " He buys 3."),
    answer="8",
    answer_type=AnswerType.NUMBER,
    source=Source("ledger", "1", "CC0-1.0", "train"),
    arrival_seconds=(1.6, 2.8),
    thoughts=("Tom 5", ""),
    deep="5 + 3 = 8",
    tags=("deep",),
)
BARE = dataclasses.replace(TOM, id="2", arrival_seconds=None, thoughts=None, deep=None, tags=())


def changed(**changes: Any) -> str:
    """The line of TOM with keys replaced; ``...`` removes one."""
    record = json.loads(to_json(TOM)) | changes
    return json.dumps({key: value for key, value in record.items() if value is not ...})


def test_an_episode_survives_a_file_with_and_without_its_optional_parts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "train.jsonl"
    assert write_episodes(path, [TOM, BARE]) == 2
    assert list(read_episodes(path)) == [TOM, BARE]


def test_the_chunks_joined_are_the_input() -> None:
    assert TOM.text == "Tom has 5 apples. He buys 3."


def test_optional_keys_may_be_missing() -> None:
    line = changed(id="2", arrival_seconds=..., thoughts=..., deep=..., tags=...)
    assert from_json(line) == BARE


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"schema": 1,', "invalid JSON (Expecting property name enclosed in double quotes"),
        ("[1]", "got a JSON list; expected an object."),
        (changed(schema=2), "schema is 2, expected 1; build the file with adasr data"),
        (changed(schema=...), "schema is None, expected 1"),
        (changed(question=...), "question is missing; expected str."),
        (changed(source=...), "source is missing; expected dict."),
        (changed(source={"name": "ledger"}), "revision is missing; expected str."),
        (changed(question=" "), "question is empty"),
        (changed(answer=""), "answer is empty"),
        (changed(answer=8), "answer is int, expected str."),
        (changed(answer_type="integer"), "expected one of number, choice, text."),
        (changed(chunks=...), "chunks is empty"),
        (changed(chunks=[]), "chunks is empty"),
        (changed(chunks="Tom has 5 apples."), "chunks is str, expected list."),
        (changed(chunks=["Tom", 5]), "chunks[1] is int, expected str."),
        (changed(chunks=["Tom", " \n"]), "chunks[1] is blank; join it with a neighbour."),
        (changed(thoughts=["Tom 5"]), "thoughts has 1 entries for 2 chunks; give one a chunk."),
        (changed(thoughts=None), "give both or neither (null)."),
        (changed(arrival_seconds=[1]), "arrival_seconds has 1 entries for 2 chunks"),
        (changed(arrival_seconds=[2, 1]), "arrival_seconds must start at 0 or later"),
        (changed(arrival_seconds=[-1, 1]), "arrival_seconds must start at 0 or later"),
        (changed(arrival_seconds=[1, True]), "arrival_seconds[1] is bool, expected int or float."),
        (changed(arrival_seconds=[1, float("nan")]), "arrival_seconds must be finite"),
        (changed(arrival_seconds=[1, float("inf")]), "arrival_seconds must be finite"),
        (changed(thinking="no"), "unknown key 'thinking'; known are answer, answer_type"),
        (changed(answer="\ud800"), "text is not Unicode"),
        (changed()[:-1] + ', "answer": "9"}', "the key 'answer' stands twice; remove one."),
    ],
)
def test_a_bad_line_is_refused_with_its_file_line_and_reason(
    line: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "train.jsonl"
    good = [to_json(dataclasses.replace(TOM, id=str(i))) for i in range(6)]
    path.write_text("\n".join([*good, line, ""]), encoding="utf-8")
    with pytest.raises(EpisodeError) as caught:
        list(read_episodes(path))
    assert str(caught.value).startswith(f"{path}:7: ")
    assert message in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_an_episode(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    lines = [to_json(TOM), to_json(dataclasses.replace(TOM, id="8"))]
    path.write_text(
        "".join(f"\ufeff{line}\r\n" for line in lines), encoding="utf-8"
    )  # two files joined
    assert [episode.id for episode in read_episodes(path)] == [TOM.id, "8"]


def test_an_id_used_twice_names_both_lines_counting_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join([to_json(TOM), "", to_json(BARE), to_json(TOM)]), encoding="utf-8")
    with pytest.raises(EpisodeError) as caught:
        list(read_episodes(path))
    assert str(caught.value) == f"{path}:4: id 'ledger-7' was used on line 1 already."


def test_bytes_that_are_not_utf8_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    latin = to_json(dataclasses.replace(BARE, question="Café?")).encode("latin-1")
    path.write_bytes(to_json(TOM).encode() + b"\n" + latin)
    with pytest.raises(EpisodeError, match=r":2: text is not Unicode at the end of '.*Caf\\udce9'"):
        list(read_episodes(path))


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_an_episode_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EpisodeError, match=r"train\.jsonl: the file holds no episode"):
        list(read_episodes(path))


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(EpisodeError, match=r"no such file; build it with adasr data"):
            list(read_episodes(path))


untrusted = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from('\r\n\t\x00\x1b\x85\u2028\u2029\u202e\ufeff"\\<>{}'),
    ),
    max_size=12,
)


@given(untrusted.map("x{}".format), st.lists(untrusted.map("{}.".format), min_size=1, max_size=3))
def test_untrusted_text_survives_a_file_character_by_character(
    text: str, chunks: list[str]
) -> None:
    episode = dataclasses.replace(
        BARE, id=text, question=text, answer=text, chunks=tuple(chunks), tags=(text,)
    )
    episode = dataclasses.replace(episode, thoughts=tuple(chunks), deep=text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "untrusted.jsonl"
        write_episodes(path, [episode, TOM])
        assert list(read_episodes(path)) == [episode, TOM]


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[Episode]:
        yield BARE
        raise RuntimeError("the builder failed")

    path = tmp_path / "train.jsonl"
    write_episodes(path, [TOM])
    with pytest.raises(RuntimeError, match="the builder failed"):
        write_episodes(path, broken())
    assert list(read_episodes(path)) == [TOM]
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_no_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_writer(tmp_path / "a.txt") as out:
            out.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    with atomic_writer(path) as out:
        out.write("new\n")
        out.flush()
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_bytes() == b"new\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("made", None, "a folder, expected a file of episodes; name one file, such as .*train.jsonl"),
        ("made/*.jsonl", b"", "a pattern is no file"),
        ("train.jsonl.gz", b"\x1f\x8b\x08\0", "a packed file, expected JSON Lines of adasr data; unpack it"),
        ("rows.parquet", b"PAR1", "parquet, expected JSON Lines of adasr data; build episodes"),
        ("hf://datasets/me/x", b"", "an address, not a file"),
        ("-", b"", "a pipe or device"),
        ("/dev/null", b"", "a pipe or device"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_episodes_says_what_it_is(tmp_path, monkeypatch, name, content, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    (tmp_path / "made/train.jsonl").write_text("")
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(EpisodeError, match=words):
        list(read_episodes(name))
    with pytest.raises(EpisodeError, match=words):
        EpisodeFile(name)
