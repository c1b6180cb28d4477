"""Rows from Python as pandas, datasets and databases give them."""

from __future__ import annotations

from decimal import Decimal

import datasets
import numpy as np
import pytest

from adasr_trl.core.episode import EpisodeError
from adasr_trl.hrpo import HRPOConfig
from adasr_trl.training.episode_rows import as_episodes

ROW = {"question": "How many?", "text": "Tom has 5. He naps.", "answer": 5}


def only(**more):
    return as_episodes([{**ROW, **more}]).episodes[0]


def one_of(answer, kind):
    text = datasets.Value("string")
    features = {"question": text, "text": text, "answer": kind}
    return datasets.Dataset.from_list(
        [{**ROW, "answer": answer}], features=datasets.Features(features)
    )


def test_a_decimal_is_a_number_and_its_nan_is_missing():
    assert only(answer=Decimal("0.1000000000000000000001")).answer == "0.1000000000000000000001"
    with pytest.raises(EpisodeError, match="row 0: answer is NaN, a missing value"):
        only(answer=Decimal("NaN"))


def test_an_answer_of_a_data_set_is_its_label_or_its_shortest_number():
    label = datasets.ClassLabel(names=["no", "yes"])
    assert as_episodes(one_of(1, label)).episodes[0].answer == "yes"
    with pytest.raises(EpisodeError, match="row 0: answer is None, a missing value"):
        as_episodes(one_of(-1, label))
    assert as_episodes(one_of(0.1, datasets.Value("float32"))).episodes[0].answer == "0.1"


@pytest.mark.parametrize("form", ["numpy", "pandas", "arrow"])
def test_the_format_of_a_data_set_changes_no_row(form):
    rows = one_of(5, datasets.Value("int64")).with_format(form)
    assert as_episodes(rows).episodes[0].answer == "5"


def test_lists_of_pandas_are_lists_and_a_text_is_no_list_of_seconds():
    episode = only(thoughts=np.array(["5", ""]), arrival_seconds=np.array([1.0, 2.0]))
    assert (episode.thoughts, episode.arrival_seconds) == (("5", ""), (1.0, 2.0))
    for seconds in ("12", [True, True], {"1": 2}):
        with pytest.raises(EpisodeError, match="expected a list of numbers"):
            only(arrival_seconds=seconds)


@pytest.mark.parametrize(
    ("option", "value"), [("learning_rate", "1e-5"), ("max_grad_norm", None), ("seed", None)]
)
def test_a_text_or_none_in_place_of_a_number_is_refused(option, value):
    with pytest.raises(ValueError, match=f"{option}: got {value!r}; expected a number"):
        HRPOConfig("out", use_cpu=True, bf16=False, **{option: value})
