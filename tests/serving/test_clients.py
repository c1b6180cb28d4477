"""Stock clients complete a session: the openai package, and @openai/agents of npm where it is at hand."""

from __future__ import annotations

import asyncio
import os
import runpy
import shutil
import subprocess
from pathlib import Path

import openai
import pytest

from support.live_use import QUESTION, TEXT, pieces
from support.serving import serving

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
AGENTS = os.environ.get("ADASR_TEST_AGENTS", "")  # a folder with node_modules/@openai/agents


@pytest.fixture(scope="module")
def served(reasoner):
    with serving(reasoner.pool(4), key="secret-key") as served:
        yield served


def answer(reasoner):
    stream = reasoner.start(QUESTION)
    return (stream.feed(TEXT) + stream.finish())[-1].text


def test_the_openai_package_completes_a_realtime_session(served, reasoner):
    async def session():
        client = openai.AsyncOpenAI(api_key="secret-key", base_url=f"{served.http}/v1")
        seen = []
        async with client, client.realtime.connect(model="tiny") as connection:
            await connection.session.update(
                session={
                    "type": "realtime",
                    "instructions": QUESTION,
                    "output_modalities": ["text"],
                }
            )
            content = [{"type": "input_text", "text": TEXT}]
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": content}
            )
            await connection.response.create()
            async for event in connection:
                seen.append(event)
                if event.type == "response.done":
                    return seen
        return seen

    events = asyncio.run(session())
    deltas = [each.delta for each in events if each.type == "response.output_text.delta"]
    assert "".join(deltas) == answer(reasoner)
    response = events[-1].response
    assert response.status == "completed"
    assert response.output[0].content[0].text == answer(reasoner)
    assert response.usage.input_token_details.cached_tokens >= 0
    assert [each.text for each in events if each.type == "response.thought.done"]


def test_the_openai_package_sends_text_in_pieces_and_hears_thoughts_before_it_asks(served):
    async def session():
        client = openai.AsyncOpenAI(api_key="secret-key", base_url=f"{served.http}/v1")
        async with client, client.realtime.connect(model="tiny") as connection:
            await connection.send({"type": "session.update", "session": {"instructions": QUESTION}})
            for piece in pieces(TEXT, 6):
                await connection.send({"type": "input_text.append", "text": piece})
            async for event in connection:
                if event.type == "response.thought.done":
                    return event
        return None

    assert asyncio.run(session()).chunk_index == 0


def test_the_openai_package_gets_completions_and_its_errors(served, reasoner):
    client = openai.OpenAI(api_key="secret-key", base_url=f"{served.http}/v1")
    messages = [{"role": "system", "content": QUESTION}, {"role": "user", "content": TEXT}]
    whole = client.chat.completions.create(model="tiny", messages=messages)
    assert whole.choices[0].message.content == answer(reasoner)
    parts = client.chat.completions.create(model="tiny", messages=messages, stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in parts) == answer(reasoner)
    assert [each.id for each in client.models.list()] == ["tiny"]
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(api_key="wrong", base_url=f"{served.http}/v1").models.list()


def test_the_example_client_prints_thoughts_and_the_answer(
    served, reasoner, tmp_path, monkeypatch, capsys
):
    (tmp_path / "story.txt").write_text(TEXT)
    monkeypatch.setenv("ADASR_URL", f"{served.http}/v1")
    monkeypatch.setenv("ADASR_KEY", "secret-key")
    monkeypatch.setenv("ADASR_SECONDS_A_WORD", "0")
    example = runpy.run_path(str(EXAMPLES / "live_client.py"))
    asyncio.run(example["main"](str(tmp_path / "story.txt"), QUESTION))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if " read " in line] == ["read"] * 3
    assert lines[-1].split("answer")[-1].strip() == answer(reasoner)


@pytest.mark.slow
@pytest.mark.skipif(
    not (AGENTS and shutil.which("node")),
    reason="needs node, and a folder with @openai/agents in ADASR_TEST_AGENTS",
)
def test_openai_agents_for_javascript_complete_a_session(served, reasoner):
    script = Path(__file__).parent.parent / "support" / "agents_session.mjs"
    run = subprocess.run(
        ["node", str(script), served.socket, "secret-key", QUESTION, TEXT, AGENTS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == answer(reasoner)
