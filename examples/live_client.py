"""A text at reading speed into ``adasr serve``, and the thoughts and the answer as they come back.

    adasr serve demo
    python examples/live_client.py story.txt "How many coins does Tom have?"

It needs the ``openai`` package, version 3; ADASR_URL and ADASR_KEY name another server and its key.
"""

import asyncio
import os
import sys
from pathlib import Path

from openai import AsyncOpenAI

SECONDS_A_WORD = float(os.environ.get("ADASR_SECONDS_A_WORD", "0.4"))  # 150 words a minute


async def speak(connection, text: str) -> None:
    """Send the text word by word, then ask."""
    for word in text.split(" "):
        await connection.send({"type": "input_text.append", "text": f"{word} "})
        await asyncio.sleep(SECONDS_A_WORD)
    await connection.response.create()


async def main(path: str, question: str) -> None:
    """Print what comes back until the answer is complete."""
    url = os.environ.get("ADASR_URL", "http://127.0.0.1:8080/v1")
    client = AsyncOpenAI(base_url=url, api_key=os.environ.get("ADASR_KEY", "none"))
    async with client, client.realtime.connect(model="adasr") as connection:
        await connection.session.update(session={"type": "realtime", "instructions": question})
        speaking = asyncio.create_task(speak(connection, Path(path).read_text(encoding="utf-8")))
        async for event in connection:
            if event.type == "input_text.read":
                print(f"{event.seconds:7.2f} read   {event.text.strip()}")
            elif event.type == "response.thought.done":
                print(f"{event.seconds:7.2f} think  {event.text or '(skip)'}")
            elif event.type == "response.output_text.done":
                print(f"        answer {event.text}")
            elif event.type == "error":
                print(f"        error  {event.error.message}", file=sys.stderr)
            elif event.type == "response.done":
                break
        await speaking


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
