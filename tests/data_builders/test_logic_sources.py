"""ProsQA, LogicNLI and FOLIO on rows of our own: statements, proofs, labels and groups."""

from adasr_trl.core.episode import AnswerType
from support.building import build_source, manifest

ZIB = {
    "question": "Every zib is a lop. Tom is a rud. Every lop is a wex. Tom is a zib. Is Tom a wex or rud?",
    "answer": "Tom is a wex.",
    "steps": ["Tom is a zib.", "Every zib is a lop.", "Every lop is a wex."],
}


def test_a_proof_is_noted_where_its_premises_are_read_and_ordered_in_the_end(tmp_path, out):
    (episode,) = build_source("prosqa", tmp_path, out, [ZIB])
    assert episode.question == "Is Tom a wex or rud?"
    assert episode.thoughts == ("Every zib is a lop", "", "Every lop is a wex", "Tom is a zib")
    assert episode.deep == "Tom is a zib; Every zib is a lop; Every lop is a wex"


def test_a_proof_with_a_step_that_is_no_premise_gives_no_trace(tmp_path, out):
    (episode,) = build_source("prosqa", tmp_path, out, [{**ZIB, "steps": ["Tom is a hen."]}])
    assert episode.thoughts is None
    assert manifest(out)["counts"] == {"steps_that_are_no_premise": 1}


def test_each_statement_of_logicnli_is_an_episode_of_one_group(tmp_path, out):
    row = {
        "facts": ["Tom is tall.", "Ann is not tall."],
        "rules": ["If someone is tall, then he is kind."],
        "statements": ["Tom is kind.", "Ann is tall.", "Ann is kind.", "Bob is old."],
        "labels": ["entailment", "contradiction", "self-contradiction", "perhaps"],
    }
    found = build_source("logicnli", tmp_path, out, {"7": row}, "--licence", "mine", suffix="json")
    assert [e.answer for e in found] == ["entailment", "contradiction", "self_contradiction"]
    assert {e.group for e in found} == {"logicnli-7"}
    assert found[0].text == "Tom is tall. Ann is not tall. If someone is tall, then he is kind."
    assert found[0].question.startswith(
        'Do the facts and rules entail or contradict "Tom is kind."?'
    )
    assert {e.answer_type for e in found} == {AnswerType.CHOICE}
    assert manifest(out)["rejected"]["by_reason"] == {"bad_gold": 1}


def test_logicnli_in_pairs_is_read_too(tmp_path, out):
    row = {"premise": "Tom is tall. Ann is old.", "hypothesis": "Tom is tall.", "label": "neutral"}
    (episode,) = build_source("logicnli", tmp_path, out, [row])
    assert episode.chunks == ("Tom is tall.", " Ann is old.")


def test_folio_s_two_names_of_one_label_are_one_and_stories_are_groups(tmp_path, out):
    row = {"premises": ["All cats purr.", "Tom is a cat."], "conclusion": "Tom purrs."}
    rows = [
        {**row, "label": "True", "story_id": 7},
        {**row, "label": "Unknown", "story_id": 7},
        {**row, "label": "Uncertain", "premises": "All cats purr.\nTom is a cat."},
    ]
    found = build_source("folio", tmp_path, out, rows)
    assert [e.answer for e in found] == ["true", "uncertain", "uncertain"]
    assert [e.group for e in found[:2]] == ["folio-story-7"] * 2
    assert {e.text for e in found} == {"All cats purr. Tom is a cat."}
