"""Laying a rationale's steps along a problem; every row here is our own."""

import pytest

from data_builders.text.draft import StreamedText
from data_builders.text.quantities import find_constants, find_quantities, note_of, plain_numbers
from data_builders.traces.align import ALL_GUARDS, Guards, build_trace, place_steps, read_steps

CHUNKS = ("Tom has 5 apples.", " He buys 3 pears.", " He eats 2 apples.")


def places(rationale, chunks=CHUNKS, question="How many are left?", limit=None, guards=ALL_GUARDS):
    limit = len(chunks) if limit is None else limit
    return place_steps(read_steps(rationale), question, chunks, limit=limit, guards=guards).chunks


def trace_of(rationale, chunks=CHUNKS, limit=3, with_notes=False):
    chunks = tuple(chunks)
    text = StreamedText("How many?", chunks, chunks, chunks, {}, {}, limit, is_missing=False)
    return build_trace(read_steps(rationale), text, with_notes=with_notes)


def values(text):
    return [sorted(quantity.values) for quantity in find_quantities(text)]


def test_a_step_is_the_line_without_its_annotation_and_lead_in():
    (step,) = read_steps("So, Tom has 5+3 = <<5+3=8>>8 fruits.\n#### 8")
    assert step.text == "Tom has 5+3 = 8 fruits"
    assert (step.operands, step.results, step.is_calculated) == ({5.0, 3.0}, {8.0}, True)


def test_so_far_is_no_lead_in():
    (step,) = read_steps("So far he has 5+3 = <<5+3=8>>8.")
    assert step.text == "So far he has 5+3 = 8"


def test_a_line_without_annotation_derives_what_stands_behind_its_equals_sign():
    (step,) = read_steps("That is 4 + 1 = 5 days")
    assert (step.operands, step.results, step.is_calculated) == ({4.0, 1.0}, {5.0}, False)


def test_a_step_waits_for_its_last_operand():
    assert places("5+3=<<5+3=8>>8\n8-2=<<8-2=6>>6\n#### 6") == [1, None]


def test_the_final_step_stays_for_the_deep_part_though_all_of_it_was_read():
    assert places("5+3=<<5+3=8>>8\n#### 8") == [None]


def test_lines_behind_the_final_step_stay_with_it():
    assert places("5-2=<<5-2=3>>3\n3+3=<<3+3=6>>6\nSo 6.\n#### 6") == [2, None, None]


def test_a_step_waits_for_a_word_that_it_shares_with_the_problem():
    chunks = ("Ann has 4 bags of 6 marbles.", " It rains.", " She sells the marbles in boxes.")
    early = "4*6=<<4*6=24>>24 marbles\n24/2=<<24/2=12>>12"
    late = "4*6=<<4*6=24>>24 marbles in boxes\n24/2=<<24/2=12>>12"
    assert places(early, chunks) == [0, None]
    assert places(late, chunks) == [2, None]


def test_words_of_the_question_are_known_before_the_stream():
    chunks = ("Ann has 4 bags of 6 marbles.", " She sells them in boxes.")
    rationale = "4*6=<<4*6=24>>24 for the boxes\n24/2=<<24/2=12>>12"
    assert places(rationale, chunks, question="How many boxes?") == [0, None]


def test_a_number_of_the_question_is_known_before_the_stream():
    rationale = "5*9=<<5*9=45>>45\n45+3=<<45+3=48>>48"
    assert places(rationale, question="At $9 each, what does he pay?") == [0, None]


def test_steps_keep_their_order():
    assert places("5-2=<<5-2=3>>3\n5*5=<<5*5=25>>25\n1+1=<<1+1=2>>2") == [2, 2, None]


def test_a_number_that_was_never_read_keeps_its_step_and_all_behind_it_for_the_deep_part():
    assert places("5*17=<<5*17=85>>85\n5+3=<<5+3=8>>8\n8-2=<<8-2=6>>6") == [None, None, None]


def test_a_number_that_occurs_twice_counts_where_it_comes_last_if_the_words_do_not_decide():
    chunks = ("Bo runs at 6 miles an hour.", " It rains.", " Bo runs 6 miles a day.")
    rationale = "Bo runs 6*5=<<6*5=30>>30 miles\n30*2=<<30*2=60>>60"
    assert places(rationale, chunks, question="And in 5 days?") == [2, None]


def test_a_number_that_occurs_twice_counts_where_the_words_fit():
    chunks = ("Bo plants 4 rows of red tulips.", " He waits 4 days.", " He goes home.")
    rationale = "Rows of red tulips planted: 4*5=<<4*5=20>>20\n20*2=<<20*2=40>>40"
    assert places(rationale, chunks, question="With 5 in each?") == [0, None]


def test_a_ratio_between_units_needs_the_unit_not_the_number():
    chunks = ("Bo sleeps.", " He naps for 3 hours.", " He wakes.")
    rationale = "3*60=<<3*60=180>>180 minutes\n180+1=<<180+1=181>>181"
    assert places(rationale, chunks) == [1, None]


def test_no_step_is_placed_at_or_behind_the_limit():
    assert places("5-2=<<5-2=3>>3\n3*3=<<3*3=9>>9", limit=2) == [None, None]


def test_a_trace_has_a_thought_for_each_chunk_and_the_rest_in_its_deep_part():
    rationale = "5+3=<<5+3=8>>8 fruits.\n8-2=<<8-2=6>>6 left.\n#### 6"
    trace = trace_of(rationale)
    assert trace.thoughts == ("", "5+3=8 fruits", "")
    assert trace.deep == "8-2=6 left"
    assert trace.counts == {"steps_streamed": 1, "steps_deep": 1, "held_by_final_step": 1}


def test_two_steps_behind_one_chunk_share_its_thought():
    rationale = "5+3=<<5+3=8>>8.\n5-3=<<5-3=2>>2.\n8*2=<<8*2=16>>16"
    trace = trace_of(rationale)
    assert trace.thoughts == ("", "5+3=8; 5-3=2", "")


def test_a_chunk_with_a_number_but_no_step_gets_a_note_if_asked():
    rationale = "5+3=<<5+3=8>>8.\n8-2=<<8-2=6>>6"
    trace = trace_of(rationale, (*CHUNKS, " Fine."), limit=4, with_notes=True)
    assert trace.thoughts == ("5 apples", "5+3=8", "eats 2 apples", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3,000 cards", [[3000.0]]),
        ("$2.50 each", [[2.5]]),
        ("5, 6 and 7", [[5.0], [6.0], [7.0]]),
        ("1/4 of it", [[0.25, 0.75, 1.0, 4.0]]),
        ("20% off", [[0.2, 0.8, 1.0, 1.2, 20.0, 80.0, 100.0, 120.0]]),
        ("half of it", [[0.5, 1.0, 2.0]]),
        ("twice as many", [[2.0]]),
        ("twenty-five hens", [[25.0]]),
        ("two hundred and ten", [[210.0]]),
        ("three dozen", [[3.0], [12.0]]),
        ("the first couple", []),
        ("a pair of shoes", []),
        ("on the 3rd day", []),
        ("the third week", []),
        ("a third of it", [[1 / 3, 2 / 3, 1.0, 3.0]]),
        ("the other one", []),
        ("one of them", []),
        ("one apple", [[1.0]]),
    ],
)
def test_quantities_are_found_with_care(text, expected):
    rounded = [[round(value, 6) for value in row] for row in expected]
    assert values(text) == rounded


def test_a_fraction_with_nothing_below_is_two_numbers():
    assert values("7/0") == [[7.0]]


def test_numbers_of_a_calculation_are_read_one_by_one():
    assert plain_numbers("1,300/15 = .5") == [1300.0, 15.0, 0.5]


def test_a_unit_brings_its_ratio():
    assert 60.0 in find_constants("ten minutes")
    assert find_constants("ten apples") == frozenset()


def test_a_note_names_each_quantity_with_its_words_and_sign():
    assert note_of("She sold 28 big cats, and paid $3 for 18 dogs.") == (
        "sold 28 big cats, paid $3, 18 dogs"
    )


def test_a_note_of_a_part_leaves_out_its_of():
    assert note_of("Half of them stay.") == "Half"


# ---- each guard alone


def without(guard):
    return Guards(**{guard: False})


def test_without_the_guard_on_the_final_step_it_streams():
    assert places("5+3=<<5+3=8>>8\n#### 8", guards=without("final_step")) == [1]


def test_without_the_guard_on_words_a_step_waits_for_its_numbers_only():
    chunks = ("Ann has 4 bags of 6 marbles.", " It rains.", " She sells the marbles in boxes.")
    late = "4*6=<<4*6=24>>24 marbles in boxes\n24/2=<<24/2=12>>12"
    assert places(late, chunks, guards=without("words")) == [0, None]


def test_without_the_guard_on_order_a_step_may_overtake_another():
    steps = "5-2=<<5-2=3>>3\n5*5=<<5*5=25>>25\n1+1=<<1+1=2>>2"
    assert places(steps, guards=without("order")) == [2, 0, None]


def test_without_the_guard_on_places_a_number_counts_where_it_comes_first():
    chunks = ("Bo runs at 6 miles an hour.", " It rains.", " Bo runs 6 miles a day.")
    steps = "Bo runs 6*5=<<6*5=30>>30 miles\n30*2=<<30*2=60>>60"
    assert places(steps, chunks, question="And in 5 days?", guards=without("latest_place")) == [
        0,
        None,
    ]


def test_without_the_guard_on_number_words_a_pair_is_two():
    steps = "2*9=<<2*9=18>>18\n18+1=<<18+1=19>>19"
    chunks = ("A pair of shoes costs 9 euros.", " Bo has 2 feet.")
    assert places(steps, chunks) == [1, None]
    assert places(steps, chunks, guards=without("number_words")) == [1, None]
    careless = Guards(number_words=False, latest_place=False, words=False)
    assert places(steps, chunks, guards=careless) == [0, None]


def test_what_a_guard_held_back_is_counted():
    steps = read_steps("5-2=<<5-2=3>>3\n5*5=<<5*5=25>>25\n1+1=<<1+1=2>>2")
    held = place_steps(steps, "How many?", CHUNKS, limit=3).held
    assert (held["order"], held["final_step"]) == (1, 1)
