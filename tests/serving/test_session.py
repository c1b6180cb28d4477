"""The protocol of a session, event by event, without a network."""

from __future__ import annotations

import pytest

from adasr_trl.serving.conversation import Conversation
from adasr_trl.serving.limits import Limits
from support.live_use import QUESTION, TEXT, pieces
from support.serving import Desk


@pytest.fixture
def desk(reasoner):
    return Desk(reasoner.pool(4))


def ask(desk, question=QUESTION):
    desk.send("session.update", session={"type": "realtime", "instructions": question})


def item(text, **fields):
    content = [{"type": "input_text", "text": text}]
    return {"item": {"type": "message", "role": "user", "content": content, **fields}}


def alone(reasoner, text, question=QUESTION):
    stream = reasoner.start(question)
    return stream.feed(text) + stream.finish(), stream


@pytest.mark.parametrize("name", ["input_text", "input_text_buffer"])
def test_text_in_pieces_gives_thoughts_while_it_arrives_and_an_answer(desk, reasoner, name):
    ask(desk)
    for piece in pieces(TEXT, 6):
        desk.send(f"{name}.append", text=piece)
        desk.run(3)
    desk.send(f"{name}.commit")
    desk.send("response.create", response={"metadata": {"a": "b"}})
    desk.run()
    events, stream = alone(reasoner, TEXT)
    thoughts = [each for each in desk.of("response.thought.done") if each["phase"] == "stream"]
    assert [each["text"] for each in thoughts] == [
        e.text for e in events if e.kind.value == "thought"
    ]
    assert [each["chunk_index"] for each in thoughts] == [0, 1, 2]
    assert [each["text"] for each in desk.of("input_text.read")] == list(stream.chunks)
    assert desk.text() == events[-1].text
    assert "".join(each["delta"] for each in desk.of("response.output_text.delta")) == desk.text()
    response = desk.answer()
    assert (response["status"], desk.text()) == ("completed", "8")
    assert response["metadata"] == {"a": "b"}
    usage = response["usage"]
    assert usage["output_tokens"] == len(stream.token_seconds)
    assert usage["input_tokens"] == stream.given_tokens[0]
    details = usage["output_token_details"]
    assert details["text_tokens"] + details["reasoning_tokens"] == usage["output_tokens"]
    assert len(desk.of(f"{name}.committed")) == 1
    assert desk.errors() == []


def test_the_events_of_a_response_come_in_openais_order(desk):
    ask(desk)
    desk.send("conversation.item.create", **item(TEXT))
    desk.send("response.create")
    desk.run()
    kinds = [each["type"] for each in desk.events if each["type"].partition(".")[0] == "response"]
    kinds = [kind for kind in kinds if "thought" not in kind]
    deltas = kinds.count("response.output_text.delta")
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    assert len({each["event_id"] for each in desk.events}) == len(desk.events)
    assert desk.events[0]["type"] == "session.created"
    assert desk.events[1]["session"]["instructions"] == QUESTION


def test_text_behind_an_answer_goes_on_where_it_was_and_only_the_new_is_read(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item("Tom has 5 coins."))
    desk.send("response.create")
    desk.run()
    read = desk.pool.engine.counts.read_tokens
    desk.send("conversation.item.create", **item("He sings. Tom finds 3 coins."))
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT)[0][-1].text
    usage = desk.answer()["usage"]
    assert desk.pool.engine.counts.read_tokens - read < usage["input_tokens"]
    assert usage["input_token_details"]["cached_tokens"] > 0


def test_cleared_and_changed_and_deleted_text_is_as_if_it_had_never_been_there(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item("Tom has 5 coins.", id="one"))
    desk.send("input_text.append", text="He has 9 books. And")
    desk.run(20)
    desk.send("input_text.clear")
    assert desk.of("input_text.cleared")[0]["kept_tokens"] > 10
    desk.send("conversation.item.create", **item("He cries.", id="two"))
    desk.send("conversation.item.create", **item("Tom finds 3 coins.", id="three"))
    desk.send("conversation.item.create", **item("Ann has 2 pens.", id="four"))
    desk.run()
    before = desk.pool.engine.counts.read_tokens
    desk.send("conversation.item.create", **item("He sings.", id="two"))
    desk.send("conversation.item.delete", item_id="four")
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT)[0][-1].text
    usage = desk.answer()["usage"]
    kept = usage["input_token_details"]["cached_tokens"]
    assert 0 < kept < usage["input_tokens"]
    assert desk.pool.engine.counts.read_tokens - before <= usage["input_tokens"] - kept + 5
    desk.send("conversation.item.retrieve", item_id="two")
    (found,) = desk.of("conversation.item.retrieved")
    assert found["item"]["content"][0]["text"] == "He sings."
    assert desk.errors() == []


def test_an_item_can_be_put_behind_another_one(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item("Tom has 5 coins.", id="one"))
    desk.send("conversation.item.create", **item("Tom finds 3 coins."))
    desk.send("conversation.item.create", previous_item_id="one", **item("He sings."))
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT)[0][-1].text


def test_an_answer_can_be_named_as_the_item_before_the_next_one(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item("Tom has 5 coins.", id="one"))
    desk.send("response.create")
    desk.run()
    answer_id = desk.answer()["output"][0]["id"]
    later = item("He sings. Tom finds 3 coins.")
    desk.send("conversation.item.create", previous_item_id=answer_id, **later)
    desk.send("conversation.item.delete", item_id=answer_id)
    desk.send("response.create")
    desk.run()
    assert (desk.text(), desk.errors()) == (alone(reasoner, TEXT)[0][-1].text, [])


def test_an_item_without_room_for_its_stream_is_not_kept(reasoner):
    pool = reasoner.pool(1)
    first, second = Desk(pool), Desk(pool)
    for desk in (first, second):
        ask(desk)
        desk.send("conversation.item.create", **item("Tom has 9 pens."))
    first.session.close()
    second.send("conversation.item.create", **item(TEXT))
    second.send("response.create")
    second.run()
    assert second.errors() == ["too_many_streams"]
    assert second.text() == alone(reasoner, TEXT)[0][-1].text


def test_without_instructions_the_texts_last_sentence_is_the_question(desk, reasoner):
    desk.send("conversation.item.create", **item(f"{TEXT} {QUESTION}"))
    for _ in range(2):
        desk.send("response.create")
        desk.run()
        assert desk.text() == alone(reasoner, TEXT)[0][-1].text
    desk.send("conversation.item.create", **item("Tom sings."))
    desk.send("response.create")
    desk.send("input_text.append", text="Tom")
    assert desk.errors() == ["no_question", "no_question"]


def test_a_new_question_reads_the_text_again_and_one_of_a_response_is_for_it_alone(desk, reasoner):
    other = "How many books does Ada have?"
    ask(desk)
    desk.send("conversation.item.create", **item(TEXT))
    for options, question in (({"instructions": other}, other), ({}, QUESTION)):
        desk.send("response.create", response=options)
        desk.run()
        assert desk.text() == alone(reasoner, TEXT, question)[0][-1].text
    ask(desk, other)
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT, other)[0][-1].text


def test_a_cancelled_response_says_so_and_can_be_asked_for_again(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item(TEXT))
    desk.send("response.create")
    desk.run(4)
    desk.send("response.create")
    desk.send("response.cancel")
    desk.send("response.cancel")
    assert desk.answer()["status"] == "cancelled"
    code = "conversation_already_has_active_response"
    assert desk.errors() == [code, "response_cancel_not_active"]
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT)[0][-1].text


def test_input_during_a_response_waits_for_its_end(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item("Tom has 5 coins."))
    desk.send("response.create")
    desk.run(3)
    desk.send("input_text.append", text="He sings. Tom finds 3 coins.")
    desk.send("input_text.commit")
    assert not desk.of("input_text.committed")
    desk.run()
    assert desk.of("input_text.committed")
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT)[0][-1].text


def test_fields_that_a_client_leaves_null_or_empty_are_left_as_they_are(desk, reasoner):
    ask(desk)
    nulls = dict.fromkeys(("type", "instructions", "thoughts", "temperature", "seed", "tools"))
    desk.send("session.update", session=nulls, event_id="e" * 512)
    desk.send("conversation.item.create", **item(TEXT, id=""), previous_item_id="", event_id="")
    fields = ("instructions", "input", "conversation", "metadata", "tools", "max_output_tokens")
    desk.send("response.create", response=dict.fromkeys(fields))
    desk.run()
    assert (desk.text(), desk.errors()) == (alone(reasoner, TEXT)[0][-1].text, [])


def test_a_fault_with_one_clients_event_is_that_clients_alone(reasoner, monkeypatch):
    pool = reasoner.pool(2)
    first, second = Desk(pool), Desk(pool)
    for desk in (first, second):
        ask(desk)
        desk.send("conversation.item.create", **item(TEXT))
    with monkeypatch.context() as patch:
        patch.setattr(Conversation, "append", lambda *_: 1 / 0)
        first.send("input_text.append", text="x")
    assert first.errors() == ["server_failed"]
    for desk in (first, second):
        desk.send("response.create")
        desk.run()
        assert desk.text() == alone(reasoner, TEXT)[0][-1].text
    assert second.errors() == []


def test_a_session_that_fails_ends_its_response(desk):
    ask(desk)
    desk.send("conversation.item.create", **item(TEXT))
    desk.send("response.create")
    desk.session.fail("a bad step")
    assert desk.answer()["status"] == "failed"
    assert desk.answer()["status_details"]["error"]["code"] == "server_failed"


def test_thoughts_are_off_by_request(desk):
    desk.send("session.update", session={"instructions": QUESTION, "thoughts": False})
    desk.send("conversation.item.create", **item(TEXT))
    desk.send("response.create")
    desk.run()
    assert desk.answer()
    assert not [each for each in desk.events if "thought" in each["type"]]


def test_a_stream_that_is_too_long_is_said_by_name_and_shorter_text_goes_on(desk, reasoner):
    ask(desk)
    desk.send("conversation.item.create", **item(TEXT, id="one"))
    desk.send("conversation.item.create", **item("Tom has 5 coins. " * 200, id="long"))
    desk.run()
    assert desk.errors() == ["out_of_positions"]
    desk.send("input_text.append", text="More.")
    desk.send("response.create")
    desk.run()
    assert desk.answer()["status"] == "failed"
    desk.send("conversation.item.delete", item_id="long")
    desk.send("response.create")
    desk.run()
    assert desk.text() == alone(reasoner, TEXT)[0][-1].text


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "nothing.known"}, "unknown_event"),
        ({"type": "input_text.append"}, "invalid_value"),
        ({"type": "input_text.append", "text": 3}, "invalid_value"),
        ({"type": "input_text.append", "text": "\udc00"}, "invalid_value"),
        ({"type": "input_text.append", "text": "x", "event_id": 3}, "invalid_value"),
        ({"type": "input_text.commit"}, "input_text_buffer_empty"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "unsupported_session"),
        ({"type": "session.update", "session": {"tools": [{}]}}, "unsupported_tools"),
        ({"type": "session.update", "session": {"temperature": 9}}, "invalid_value"),
        ({"type": "session.update", "session": {"temperature": 1e-30}}, "invalid_value"),
        ({"type": "session.update", "session": []}, "invalid_value"),
        ({"type": "conversation.item.create"}, "unsupported_item"),
        ({"type": "conversation.item.create", **item(" ")}, "empty_text"),
        ({"type": "conversation.item.create", **item("x", role="assistant")}, "unsupported_item"),
        ({"type": "conversation.item.create", **item("x", content=[{}])}, "unsupported_content"),
        (
            {"type": "conversation.item.create", "previous_item_id": "none", **item("x")},
            "item_not_found",
        ),
        ({"type": "conversation.item.delete", "item_id": "none"}, "item_not_found"),
        ({"type": "response.create", "response": {"conversation": "none"}}, "unsupported_response"),
        ({"type": "response.create", "response": {"input": []}}, "unsupported_response"),
        ({"type": "response.create", "response": {"metadata": {"a": "\ud800"}}}, "invalid_value"),
        ({"type": "response.create", "response": {"metadata": {"a": [1]}}}, "invalid_value"),
        (
            {"type": "response.create", "response": {"metadata": {str(n): "" for n in range(17)}}},
            "invalid_value",
        ),
        ({"type": "session.update", "session": {"seed": 1.5}}, "invalid_value"),
        ({"type": "response.create"}, "no_input"),
        ({"type": "response.cancel"}, "response_cancel_not_active"),
    ],
)
def test_every_refusal_is_an_error_event_with_a_code_and_the_session_goes_on(desk, message, code):
    ask(desk)
    desk.session.receive(message)
    assert desk.errors() == [code]
    desk.send("conversation.item.create", **item(TEXT))
    desk.send("response.create")
    desk.run()
    assert desk.answer()["usage"]["output_tokens"] > 0


def test_a_session_reads_no_more_than_its_limit(reasoner):
    desk = Desk(reasoner.pool(1), Limits(max_text_characters=20, max_items=2))
    ask(desk)
    desk.send("input_text.append", text="Tom has 5 coins.")
    desk.send("input_text.append", text=" He sings.")
    desk.send("input_text.clear")
    for _ in range(3):
        desk.send("conversation.item.create", **item("Tom."))
    assert desk.errors() == ["input_too_long", "too_many_items"]


def test_a_full_pool_and_a_question_too_long_are_refused(reasoner):
    pool = reasoner.pool(1)
    first, second = Desk(pool), Desk(pool)
    for desk in (first, second):
        ask(desk)
        desk.send("input_text.append", text="Tom")
    assert (first.errors(), second.errors()) == ([], ["too_many_streams"])
    first.session.close()
    ask(second, "How many? " * 300)
    second.send("input_text.append", text="Tom")
    assert second.errors()[1:] == ["invalid_input"]
    ask(second)
    second.send("input_text.append", text="Tom")
    assert len(second.errors()) == 2
