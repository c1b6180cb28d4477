"""``adasr serve`` in a pipecat pipeline: transcripts in, thoughts while the user speaks, the answer when they stop.

    Pipeline([transport.input(), stt, AdasrService(question="How many coins does Tom have?"), tts, transport.output()])

Thoughts are LLMThought frames, which no TTS speaks; the answer is LLMText frames. Interim transcripts are left out, for
half a sentence is no chunk. It needs ``pipecat-ai`` and ``websockets``.
"""

import asyncio
import json

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    LLMThoughtEndFrame,
    LLMThoughtStartFrame,
    LLMThoughtTextFrame,
    StartFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from websockets.asyncio.client import connect

PATIENCE = 0.3  # seconds; a transcript may come behind the silence that ends it
URL = "ws://127.0.0.1:8080/v1/realtime"


class AdasrService(FrameProcessor):
    """One session of the server for one pipeline."""

    def __init__(self, question: str, url: str = URL, api_key: str = "none") -> None:
        super().__init__()
        self._question, self._url = question, url
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._is_thinking = self._is_responding = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Send what the user says; pass on everything else."""
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._socket = await connect(self._url, additional_headers=self._headers)
            await self._send("session.update", session={"instructions": self._question})
            self._hearing = self.create_task(self._hear())
        elif isinstance(frame, TranscriptionFrame):
            content = [{"type": "input_text", "text": frame.text}]
            item = {"type": "message", "role": "user", "content": content}
            await self._send("conversation.item.create", item=item)
        elif isinstance(frame, UserStoppedSpeakingFrame):
            self._is_responding = True
            self._asking = self.create_task(self._ask())
        elif isinstance(frame, InterruptionFrame) and self._is_responding:
            await self._send("response.cancel")  # refused, without harm, before it has begun
        elif isinstance(frame, EndFrame | CancelFrame):
            while self._is_responding and isinstance(frame, EndFrame):
                await asyncio.sleep(0.01)
            await self._socket.close()
            await self.cancel_task(self._hearing)
        await self.push_frame(frame, direction)

    async def _send(self, kind: str, **fields: object) -> None:
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def _ask(self) -> None:
        await asyncio.sleep(PATIENCE)
        await self._send("response.create")

    async def _hear(self) -> None:
        async for message in self._socket:
            event = json.loads(message)
            kind = event["type"]
            if kind == "response.thought.delta":
                if not self._is_thinking:
                    await self.push_frame(LLMThoughtStartFrame())
                self._is_thinking = True
                await self.push_frame(LLMThoughtTextFrame(event["delta"]))
            elif kind == "response.thought.done" and self._is_thinking:
                self._is_thinking = False
                await self.push_frame(LLMThoughtEndFrame())
            elif kind == "response.content_part.added":
                await self.push_frame(LLMFullResponseStartFrame())
            elif kind == "response.output_text.delta":
                await self.push_frame(LLMTextFrame(event["delta"]))
            elif kind == "response.done":
                await self.push_frame(LLMFullResponseEndFrame())
                self._is_responding = False
            elif kind == "error":
                self._is_responding = False
                await self.push_frame(ErrorFrame(event["error"]["message"]))
