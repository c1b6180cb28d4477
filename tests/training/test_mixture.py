"""Training on several files: shares, caps and temperature, lazily read, and where the episodes came from."""

import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest

from adasr_trl.artifacts.provenance import load_provenance, save_provenance
from adasr_trl.config.sections import DataConfig, MixturePart
from adasr_trl.core.episode import AnswerType, Episode, EpisodeError, Source, write_episodes
from adasr_trl.hub import card
from adasr_trl.training.mixture import EpisodeFile, mix, mixed_counts


def made(name, count, licence="MIT"):
    one = Episode(
        name,
        name,
        "How many?",
        ("It is 5.",),
        "5",
        AnswerType.NUMBER,
        Source(name, "1", licence, "train"),
    )
    return [replace(one, id=f"{name}-{i}", group=f"{name}-{i}") for i in range(count)]


@pytest.fixture
def files(tmp_path):
    for name, count in (("big", 900), ("small", 100)):
        write_episodes(tmp_path / f"{name}.jsonl", made(name, count))
    return [str(tmp_path / "big.jsonl"), str(tmp_path / "small.jsonl")]


def parts(files, **more):
    return (MixturePart(files[0], **more), MixturePart(files[1]))


def names(mixture):
    return Counter(e.source.name for e in mixture)


def test_without_settings_every_episode_is_taken_once(files):
    mixture = mix(parts(files), 1.0, 0)
    assert len(mixture) == len({e.id for e in mixture}) == 1000


@pytest.mark.parametrize(
    ("sizes", "weights", "caps", "temperature", "counts"),
    [
        ((900, 100), (1, 1), (None, None), 1.0, [900, 100]),
        ((900, 100), (1, 2), (None, None), 1.0, [450, 100]),  # twice as many small ones a big one
        ((900, 100), (1, 1), (300, None), 1.0, [300, 100]),
        ((900, 100), (1, 1), (None, None), 2.0, [300, 100]),  # square roots: 30 to 10
        ((900, 100), (1, 1), (None, None), 1e9, [100, 100]),
    ],
)
def test_shares_follow_weights_caps_and_temperature(sizes, weights, caps, temperature, counts):
    given = [MixturePart("x", weight, cap) for weight, cap in zip(weights, caps, strict=True)]
    assert mixed_counts(sizes, given, temperature) == counts


def test_a_file_gives_what_a_seed_draws_and_files_are_interleaved(files):
    mixture = mix(parts(files, cap=100), 1.0, 0)
    ids = [e.id for e in mixture]
    assert ids == [e.id for e in mix(parts(files, cap=100), 1.0, 0)]
    assert ids != [e.id for e in mix(parts(files, cap=100), 1.0, 1)]
    assert names(mixture) == {"big": 100, "small": 100}
    assert 30 < names(mixture[:100])["big"] < 70


def test_a_mixture_is_a_sequence(files):
    mixture = mix(parts(files), 1.0, 0)
    assert mixture[3].id == list(mixture)[3].id
    assert mixture[-1].id == mixture[999].id
    assert [e.id for e in mixture[10:12]] == [mixture[10].id, mixture[11].id]
    assert len(mixture[:7][:3]) == 3
    with pytest.raises(IndexError):
        mixture[1000]


def test_episodes_stay_on_disk(tmp_path):
    long = [replace(e, chunks=("word " * 2000,)) for e in made("long", 500)]
    write_episodes(tmp_path / "long.jsonl", long)
    tracemalloc.start()
    mixture = mix((MixturePart(str(tmp_path / "long.jsonl")),), 1.0, 0)
    assert sum(len(e.text) for e in mixture) == 500 * 10_000
    assert tracemalloc.get_traced_memory()[1] < 1_000_000  # the file has 5 MB
    tracemalloc.stop()


def test_a_file_that_is_missing_empty_or_left_out_is_named(files, tmp_path):
    with pytest.raises(EpisodeError, match=r"none\.jsonl: no such file"):
        EpisodeFile(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(EpisodeError, match="holds no episode"):
        EpisodeFile(tmp_path / "empty.jsonl")
    with pytest.raises(EpisodeError, match=r"big\.jsonl: its weight leaves none of its 900"):
        mix(parts(files, weight=0.001), 1.0, 0)


def test_a_damaged_episode_is_named_by_its_number(tmp_path):
    write_episodes(tmp_path / "a.jsonl", made("a", 2))
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(EpisodeError, match=r"a\.jsonl: episode 3: invalid JSON"):
        EpisodeFile(tmp_path / "a.jsonl").read(2)


def test_a_run_loads_its_mixture_and_refuses_a_file_twice(files):
    from adasr_trl.training.data import load_data

    data = load_data(DataConfig(mixture=parts(files), held_out=10, max_train_episodes=50))
    assert (len(data.train), len(data.held_out)) == (50, 10)
    with pytest.raises(EpisodeError, match=r"the id 'big-\d+' occurs twice"):
        load_data(DataConfig(mixture=parts([files[0], files[0]])))


def test_an_episode_that_a_run_cannot_use_is_named(files, tmp_path):
    from adasr_trl.training.data import load_data

    bad = [replace(made("bad", 1)[0], answer="many")]
    write_episodes(tmp_path / "bad.jsonl", bad)
    with pytest.raises(EpisodeError, match=r"data\.mixture: episode 'bad-0': .*'many'"):
        load_data(DataConfig(mixture=(MixturePart(str(tmp_path / "bad.jsonl")),)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "data.train is missing"),
        (
            {"train": "a", "mixture": (MixturePart("b"),)},
            "data.mixture: got files here and in data.train",
        ),
        ({"train": "a", "temperature": 0.0}, "data.temperature: got 0; expected above 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        DataConfig(**settings)


def test_a_part_needs_a_weight_and_a_cap_above_zero():
    with pytest.raises(ValueError, match=r"data\.mixture\.weight: got 0"):
        MixturePart("a", weight=0.0)
    with pytest.raises(ValueError, match=r"data\.mixture\.cap: got 0"):
        MixturePart("a", cap=0)


def test_the_sources_of_a_run_stand_in_its_provenance_by_name_and_in_the_cards_table(tmp_path):
    parts = [*made("gsm8k", 3), *made("folio", 2, "CC-BY-SA-4.0"), *made("a|b", 1)]
    save_provenance(tmp_path, ["sft"], parts)
    found = load_provenance(tmp_path).data
    assert [(each.name, each.episodes) for each in found] == [
        ("a|b", 1),
        ("folio", 2),
        ("gsm8k", 3),
    ]
    table = card.data_table(found)
    assert "| folio | 1 | CC-BY-SA-4.0 | train | 2 |" in table
    assert "| a\\|b | 1 | MIT | train | 1 |" in table


def test_a_source_of_both_runs_stands_once_with_the_larger_number(tmp_path):
    before, run = tmp_path / "sft", tmp_path / "hrpo"
    before.mkdir()
    run.mkdir()
    save_provenance(before, ["sft"], [*made("gsm8k", 3), *made("folio", 1)])
    save_provenance(run, ["hrpo"], [*made("gsm8k", 2), *made("clinic", 4)], before)
    found = load_provenance(run).data
    assert [(each.name, each.episodes) for each in found] == [
        ("clinic", 4),
        ("folio", 1),
        ("gsm8k", 3),
    ]


def test_a_run_on_a_mixture_notes_its_sources(tmp_path, episodes):
    from adasr_trl.artifacts import directory
    from adasr_trl.cli import train
    from support import workspace

    workspace.make(tmp_path, episodes)
    for name, part in (("a", episodes[:30]), ("b", episodes[30:48])):
        write_episodes(tmp_path / f"{name}.jsonl", part)
    config = workspace.load(tmp_path, "sft")
    files = [{"path": str(tmp_path / f"{name}.jsonl")} for name in "ab"]
    config["data"] = {"mixture": files, "held_out": 8}
    config |= {"max_steps": 1, "eval_strategy": "no"}
    del config["eval_steps"]
    workspace.save(tmp_path, "sft", config)
    run = train.train("sft", str(tmp_path / "sft.yaml"), (), directory.Existing.REFUSE)
    (source,) = load_provenance(run).data
    assert (source.name, source.licence, source.episodes) == ("ledger", "Apache-2.0", 48)
