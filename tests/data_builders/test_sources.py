"""Every source on rows of our own in its format: text, question, gold answer, group, trace."""

import json

import pytest

from adasr_trl.core.episode import read_episodes
from data_builders.__main__ import main
from data_builders.sources.base import load_source, sources
from support.building import ALL_TRAIN, TOM, build_source, manifest, refused, write_rows
from support.json_lines import json_lines


@pytest.mark.parametrize("name", sources())
def test_a_source_has_the_five_names_of_the_interface(name):
    module = load_source(name)
    assert (name, sources()[name]) == (module.NAME, module.SUMMARY)
    assert all(map(callable, (module.add_options, module.open_rows, module.build_row)))


# ---- gsm_symbolic


SYMBOLIC = {**TOM, "id": 3, "instance": 7, "original_id": 40, "original_question": "x"}
TEMPLATE = {
    "question": "Tom has 5 hens. How many legs have they?",
    "answer": "5*2 = <<5*2=10>>10\n#### 10",
    "id_orig": 12,
    "id_shuffled": 0,
    "question_annotated": "{name,Tom} has {n,5} hens and {m,2} {pet,cats}. How many legs have the hens?\n\n#init:\n"
    "- name = sample(names)\n- $n, $m = sample([3, 4, 5], 2)\n- pet = sample(['cats', 'dogs'])\n\n"
    "#conditions:\n- n > m\n- is_int(n * 2 / 1)\n\n#answer: n * 2",
    "answer_annotated": "{n} hens have {n}*2 = <<{n}*2={n*2}>>{n*2} legs\n#### {n*2}",
}


def test_variants_of_a_symbolic_problem_share_their_original_s_group(tmp_path, out):
    rows = [SYMBOLIC, {**SYMBOLIC, "instance": 8}]
    found = build_source("gsm_symbolic", tmp_path, out, rows, "--licence", "MIT")
    assert [e.id for e in found] == ["gsm_symbolic-3-7", "gsm_symbolic-3-8"]
    assert {e.group for e in found} == {"gsm_symbolic-original-40"}


def test_official_rows_are_built_for_one_command_only(tmp_path, out, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [{**SYMBOLIC, "canary": "do not train"}] * 2)
    given = ["gsm_symbolic", "--input", str(path), *ALL_TRAIN]
    refused(main([*given, "--out", str(out)]), capsys, "CC-BY-NC-ND", "--ephemeral")
    refused(main([*given, "--out", str(out), "--licence", "MIT"]), capsys, "rows.jsonl:1", "canary")
    assert not out.exists()
    copy = tmp_path / "seen.txt"
    command = ["sh", "-c", f"wc -l < {{out}}/train.jsonl > {copy}; echo {{out}} >> {copy}; exit 3"]
    path = write_rows(tmp_path / "rows.jsonl", [{**SYMBOLIC, "canary": "do not train"}])
    assert main([*given, "--ephemeral", "--", *command]) == 3
    count, folder = copy.read_text().split()
    assert count == "1"
    assert not (tmp_path / folder).exists()


def test_an_ephemeral_build_needs_a_command_that_uses_it(tmp_path, capsys):
    path = write_rows(tmp_path / "rows.jsonl", [TOM])
    given = ["gsm8k", "--input", str(path)]
    refused(main([*given, "--ephemeral"]), capsys, "--ephemeral", "{out}")
    refused(main([*given, "--out", "x", "--", "true"]), capsys, "true", "--ephemeral")


def test_templates_are_filled_with_values_that_meet_their_conditions(tmp_path, out):
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "0000.json").write_text(json.dumps(TEMPLATE))
    more = ("--instances", "20", "--licence", "Apple sample code", "--test-share", "0")
    assert main(["gsm_symbolic", "--input", str(folder), "--out", str(out), *more]) == 0
    found = list(read_episodes(out / "train.jsonl"))
    assert len(found) > 8  # of at most 3 * 2 * 12 fillings, drawn 20 times
    assert {e.group for e in found} == {"gsm_symbolic-original-12"}
    for episode in found:
        hens, pets = (int(word) for word in episode.text.split() if word.isdigit())
        assert hens > pets
        assert episode.answer == str(hens * 2)


# ---- metamathqa


def test_rewritings_of_one_problem_share_a_group_and_latex_answers_parse(tmp_path, out):
    half = {
        "type": "MATH_AnsAug",
        "query": "A coin is thrown. What is the chance of heads?",
        "original_question": "Heads?",
        "response": "One of two sides.\nThe answer is: \\frac{1}{2}",
    }
    sum_ = {
        "type": "GSM_Rephrased",
        "query": "Tom has 5 apples. He buys 3 more. He eats 2. How many are left?",
        "original_question": "Heads?",
        "response": "He has 5 + 3 = 8 apples.\nThen 8 - 2 = 6 are left.\n#### 6\nThe answer is: 6",
    }
    none = {**sum_, "response": "I do not know."}
    found = build_source("metamathqa", tmp_path, out, [half, sum_, none])
    assert [e.answer for e in found] == ["\\frac{1}{2}", "6"]
    assert len({e.group for e in found}) == 1
    assert found[1].thoughts == ("5 apples", "He has 5 + 3 = 8 apples", "eats 2")
    assert found[1].deep == "8 - 2 = 6 are left"
    assert manifest(out)["rejected"]["by_reason"] == {"no_final_answer": 1}


def test_backward_questions_over_a_test_set_are_test_episodes(tmp_path, out):
    row = {
        "question": "Tom has x hens. He buys 3.\nIf the answer is 8, what is the value of x?",
        "answer": "5",
        "original_question": "q",
        "output": "x + 3 = 8\nx = 8 - 3 = 5\nThe answer is: 5",
    }
    path = write_rows(tmp_path / "rows.jsonl", [row])
    assert main(["metamathqa", "--input", str(path), "--out", str(out)]) == 0
    (episode,) = read_episodes(out / "test.jsonl")
    assert episode.question == "If the answer is 8, what is the value of x?"
    assert not (out / "train.jsonl").exists()


# ---- svamp


def test_an_equation_gives_the_steps_and_its_last_one_answers(tmp_path, out):
    row = {
        "ID": "chal-9",
        "Body": "Tom has 5 pens. He buys 3, each for 2 coins",
        "Question": "What are they worth together?",
        "Equation": "( ( 5.0 + 3.0 ) * 2.0 )",
        "Answer": 16.0,
        "Type": "Multiplication",
    }
    wrong = {**row, "ID": "chal-10", "Answer": 17.0}
    found = build_source("svamp", tmp_path, out, [row, wrong])
    assert found[0].chunks == ("Tom has 5 pens.", " He buys 3, each for 2 coins")
    assert (found[0].answer, found[0].tags) == ("16", ("multiplication",))
    assert found[0].thoughts == ("5 pens", "5+3 = 8")
    assert found[0].deep == "8*2 = 16"
    assert found[1].thoughts is None
    assert found[1].group == found[0].group  # one body, other numbers or not
    assert manifest(out)["counts"]["equation_does_not_give_the_answer"] == 1


# ---- pubmedqa


ABSTRACT = {
    "QUESTION": "Does tea help?",
    "CONTEXTS": ["We gave tea. It was hot.", "They slept."],
    "LABELS": ["METHODS", "RESULTS"],
    "LONG_ANSWER": "Tea helps.",
    "final_decision": "yes",
}


@pytest.mark.parametrize(
    ("spec", "chunks"),
    [
        ("sentence", ("We gave tea.", " It was hot.", "\nThey slept.")),
        ("source", ("We gave tea. It was hot.", "\nThey slept.")),
        ("paragraph", ("We gave tea. It was hot.", "\nThey slept.")),
    ],
)
def test_an_abstract_streams_in_sentences_or_sections_without_its_conclusion(
    tmp_path, out, spec, chunks
):
    found = build_source(
        "pubmedqa", tmp_path, out, {"123": ABSTRACT}, "--chunk", spec, suffix="json"
    )
    assert found[0].id == "pubmedqa-123"
    assert found[0].chunks == chunks
    assert (found[0].answer, found[0].thoughts) == ("yes", None)


def test_the_hub_s_nested_rows_are_read_too(tmp_path, out):
    row = {
        "pubid": 5,
        "question": "Does tea help?",
        "context": {"contexts": ["We gave tea.", "They slept."]},
        "final_decision": "no",
    }
    (episode,) = build_source("pubmedqa", tmp_path, out, [row])
    assert (episode.id, episode.text) == ("pubmedqa-5", "We gave tea.\nThey slept.")


# ---- reasoning_gym


def test_the_form_of_the_answer_is_no_part_of_the_stream(tmp_path, out):
    word = {
        "question": "Tom is married to Eva. They have a child called Ann.\n\nHow is Ann related to Tom? Answer in one word.",
        "answer": "daughter",
        "metadata": {"source_dataset": "family_relationships"},
    }
    long = {
        "question": 'Two people meet. Tom says "Ann lies". Who lies? (Format your answer like: "Tom lies, and Ann does not")',
        "answer": "Tom lies, and Ann does not.",
    }
    bare = {"question": "What is 2 + 3? Respond with a number.", "answer": "5"}
    found = build_source("reasoning_gym", tmp_path, out, [word, long, bare])
    assert found[0].question == "How is Ann related to Tom?"
    assert found[0].chunks == ("Tom is married to Eva.", " They have a child called Ann.")
    assert found[0].source.name == "reasoning_gym/family_relationships"
    assert found[1].question.startswith("Who lies? (Format your answer like")
    assert manifest(out)["rejected"]["by_reason"] == {"does_not_read_as_a_stream": 1}


def test_rows_of_one_template_share_a_group(tmp_path, out):
    text = "Tom has {} hens. There is rain. How many legs are there?"
    rows = [
        {
            "question": text.format(n),
            "answer": str(2 * n),
            "metadata": {"variables": {"n": n, "who": "x"}},
        }
        for n in (3, 4)
    ]
    rows.append({**rows[0], "metadata": {"variables": {"m": 1}}})
    found = build_source("reasoning_gym", tmp_path, out, rows)
    assert found[0].group == found[1].group != found[2].group


def test_a_task_without_the_package_says_what_to_install(out, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    status = main(["reasoning_gym", "--task", "leg_counting", "--out", str(out)])
    refused(status, capsys, "adasr-trl[reasoning-gym]")


def test_a_task_is_generated_by_its_number(out, monkeypatch):
    class Fake:
        @staticmethod
        def create_dataset(task, *, seed, size):
            assert (task, seed, size) == ("legs", 4, 3)
            text = "There are {} hens. There is rain. How many legs are there? Give a number."
            return [{"question": text.format(n), "answer": str(2 * n)} for n in (3, 4, 5)]

    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", Fake)
    from data_builders.sources import reasoning_gym

    reasoning_gym._generator.cache_clear()
    flags = ["--task", "legs", "--count", "3", "--seed", "4", "--out", str(out), *ALL_TRAIN]
    assert main(["reasoning_gym", *flags]) == 0
    assert [e.answer for e in read_episodes(out / "train.jsonl")] == ["6", "8", "10"]
    reasoning_gym._generator.cache_clear()


# ---- streamingthinker


def thinker(deep, answer="\\boxed{8}", thoughts=" 5.<EOT>  \n5 + 3 = 8.<EOT>"):
    return {
        "Instruct_Context": {"context": "Tom has 5.<EOS> He buys 3.<EOS>", "instruct": "How many?"},
        "streaming_reasoning": f"We want the number.<EOQ>  \n{thoughts}",
        "deep_reasoning": deep,
        "answer": answer,
    }


ROWS = [
    thinker("So 8. <EOR> The answer is \\box{8}.<EOA>"),
    thinker("So 8. <EOR>Again: 8. <EOF> The answer is \\box{8}.<EOA>"),
    thinker("<EOR> The answer is 8.<EOA>", thoughts="<skip><EOT> 5 + 3 = 8.<EOT>"),
]


def test_each_depth_keeps_its_thoughts_and_its_deep_part(tmp_path, out):
    found = build_source("streamingthinker", tmp_path, out, ROWS, suffix="json")
    assert [e.tags for e in found] == [("D2",), ("D3",), ("D1",)]
    assert [e.deep for e in found] == ["So 8.", "So 8. Again: 8.", ""]
    assert [e.thoughts for e in found] == [
        ("5.", "5 + 3 = 8."),
        ("5.", "5 + 3 = 8."),
        ("", "5 + 3 = 8."),
    ]
    assert {e.chunks for e in found} == {("Tom has 5.", " He buys 3.")}
    assert manifest(out)["counts"]["restated_question_left_out"] == 3


def test_a_trace_that_does_not_fit_is_kept_apart_with_its_reason(tmp_path, out):
    rows = [ROWS[0], thinker("<EOR>", thoughts="5.<EOT>")]
    build_source("streamingthinker", tmp_path, out, rows, "--keep-untraced", suffix="json")
    assert manifest(out)["rejected_traces"] == {"thoughts_do_not_fit": 1}
    (kept,) = json_lines(out / "rejected_traces.jsonl")
    assert (kept["reason"], kept["thoughts"]) == ("thoughts_do_not_fit", ["5."])
    assert [e.thoughts is None for e in read_episodes(out / "train.jsonl")] == [False, True]


def test_parquet_of_the_same_columns_is_read(tmp_path, out):
    import pyarrow
    import pyarrow.parquet

    nested = pyarrow.Table.from_pylist(ROWS)
    coded = [{**row, "Instruct_Context": json.dumps(row["Instruct_Context"])} for row in ROWS]
    flat = [{**row["Instruct_Context"], **row} for row in ROWS]
    for row in flat:
        del row["Instruct_Context"]
    tables = {"nested": nested, "coded": pyarrow.Table.from_pylist(coded)}
    tables["flat"] = pyarrow.Table.from_pylist(flat)
    for name, table in tables.items():
        path = tmp_path / f"{name}.parquet"
        pyarrow.parquet.write_table(table, path, row_group_size=2)
        flags = ["--input", str(path), "--out", str(out / name), *ALL_TRAIN]
        assert main(["streamingthinker", *flags]) == 0
        found = list(read_episodes(out / name / "train.jsonl"))
        assert [e.deep for e in found] == ["So 8.", "So 8. Again: 8.", ""]


# ---- custom


def test_a_rationale_column_is_aligned(tmp_path, out):
    row = {"ask": "How many are left?", "story": "Tom has 5. He buys 3. He eats 2.", "gold": "6"}
    row["work"] = "He has 5 + 3 = 8.\nThen 8 - 2 = 6."
    columns = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
    more = [
        "--answer-type",
        "number",
        "--name",
        "n",
        "--licence",
        "MIT",
        "--rationale-column",
        "work",
    ]
    (episode,) = build_source("custom", tmp_path, out, [row], *columns, *more)
    assert episode.thoughts == ("5", "He has 5 + 3 = 8", "eats 2")


def test_a_list_is_a_section_an_item(tmp_path, out):
    row = {"ask": "Who?", "story": ["Tom came. He sat.", "Ann left."], "gold": "Ann"}
    columns = ["--question-column", "ask", "--context-column", "story", "--answer-column", "gold"]
    more = ["--answer-type", "text", "--name", "n", "--licence", "MIT", "--chunk", "source"]
    (episode,) = build_source("custom", tmp_path, out, [row], *columns, *more)
    assert episode.chunks == ("Tom came. He sat.", " Ann left.")


# ---- gsm_infinite


def infinite(out, *more):
    flags = ["--count", "60", "--out", str(out), *ALL_TRAIN, *more]
    assert main(["gsm_infinite", *flags]) == 0
    return list(read_episodes(out / "train.jsonl"))


def test_a_graph_s_answer_is_what_its_sentences_say(out):
    from data_builders.sources.gsm_infinite_check import values_by_chunk

    for episode in infinite(out):
        words = episode.question.rstrip("?").split()
        name = f"{words[2]} {words[3]} in {words[6]} Hall" if words[4] == "are" else ""
        assert list(values_by_chunk(episode.chunks))[-1][name] == int(episode.answer)


def test_a_quantity_waits_until_it_can_be_computed(out):
    waiting = 0
    for episode in infinite(out):
        stated = "; ".join(episode.thoughts).split("; ")
        assert len([clause for clause in stated if clause]) == len(episode.chunks) == 9
        waiting += sum(not thought for thought in episode.thoughts)
    assert waiting > 100  # sentences that come before what they build on


def test_a_seed_fixes_all_and_its_size_is_bounded(out, tmp_path, capsys):
    assert infinite(out) == infinite(tmp_path / "b")
    assert infinite(out) != infinite(tmp_path / "c", "--seed", "1")
    status = main(["gsm_infinite", "--layers", "1", "--out", str(tmp_path / "d")])
    refused(status, capsys, "--layers", "2 to 30")
