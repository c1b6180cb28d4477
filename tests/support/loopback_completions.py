"""A completion server on 127.0.0.1 with OpenAI's streamed answers, which a transformers model writes greedily."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch

OPENAI = {"model", "prompt", "stream", "max_tokens", "temperature", "top_p", "seed"}


class CompletionServer:
    """Serves one model.

    Attributes:
        tells_ids: Whether answers carry token ids, as vLLM's do on demand.
        strict: Whether fields that OpenAI does not know are refused.
        breaks: Whether answers end before they are complete.
        asked: The bodies of all requests that were served.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, tells_ids: bool = False, strict: bool = False
    ) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.tells_ids, self.strict, self.breaks = tells_ids, strict, False
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        handler = type("Handler", (_Handler,), {"server_state": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> CompletionServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_state: CompletionServer

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server_state.keys.append(self.headers.get("Authorization"))
        longest = self.server_state.model.config.max_position_embeddings
        self._send({"data": [{"id": "tiny", "max_model_len": longest}]})

    def do_POST(self) -> None:
        state = self.server_state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if state.strict and set(body) - OPENAI:
            self._send({"error": f"unknown {sorted(set(body) - OPENAI)}"}, 400)
            return
        state.asked.append(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client read enough
            self._write(body)

    def _write(self, body: dict[str, Any]) -> None:
        state = self.server_state
        if state.breaks:  # before a token, since a first one may end a segment
            return
        ids, said = list(body["prompt"]), ""
        written: list[int] = []
        for n in range(body["max_tokens"]):
            with torch.no_grad():
                token = state.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax().item()
            ids.append(token)
            ended = token == state.tokenizer.eos_token_id
            if not ended:
                written.append(token)
            text = state.tokenizer.decode(written, skip_special_tokens=False)
            reason = "stop" if ended else "length" if n + 1 == body["max_tokens"] else None
            choice = {"text": text[len(said) :], "finish_reason": reason}
            if state.tells_ids:
                choice["token_ids"] = [token]
            said = text
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            if reason:
                break
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, value: object, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())
