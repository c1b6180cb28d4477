"""What completion servers really send, after public reports of their clients, and servers that never answer."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adasr_trl.core.errors import UserError
from adasr_trl.engines.completion_server import Line, Server

MODELS = b'{"data": [{"id": "tiny"}]}'
DONE = b"data: [DONE]\n\n"


@contextmanager
def replying(models: bytes, completion: bytes) -> Iterator[str]:
    """The address of a server that sends these bodies with status 200."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_args):
            pass

        def do_GET(self):
            self.reply(models)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(completion)

        def reply(self, body):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def event(**fields):
    return f"data: {json.dumps(fields)}\n\n".encode()


def part(text, reason=None, **fields):
    return event(choices=[{"text": text, "finish_reason": reason}], **fields)


def written(completion, models=MODELS):
    with replying(models, completion) as url, closing(pieces(url)) as parts:
        return [(piece.text, piece.ended) for piece in parts]


def pieces(url, line=None):
    return Server(url).write([1], {"max_tokens": 3}, line or Line())


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        (part("a") + part("b", "stop") + event(choices=[], usage={}) + DONE, [False, True]),
        (event(choices=None, usage=None) + part("a", "length") + DONE, [False]),
        (b": ping\n\ndata: : PROCESSING\n\ndata:\n\n" + part("a", "stop") + DONE, [True]),
        (part("a", "") + part("b", "null") + part("c", "stop"), [False, False, True]),
        (b"event: message\nid: 3\nretry: 9\n" + part("a", "eos_token"), [True]),
        (part("a", "stop").replace(b"\n", b"\r\n") + DONE, [True]),
    ],
    ids=["usage behind", "null choices", "keepalive", "empty reasons", "fields", "crlf"],
)
def test_what_is_no_piece_of_a_completion_is_left_out(completion, expected):
    assert [ended for _, ended in written(completion)] == expected


@pytest.mark.parametrize(
    ("completion", "words"),
    [
        (part("a") + event(error={"message": "quota exceeded"}) + DONE, "quota exceeded"),
        (part("a") + b'error: {"message": "out of memory"}\n\n', "out of memory"),
        (b'{"error": {"message": "quota"}}', 'it said \'{"error"'),
        (part("a") + part("", "abort") + DONE, "ended by 'abort'"),
        (part("a", ""), "the connection ended while it wrote"),
        (part("a") + DONE, "the connection ended while it wrote"),
        (b"data: {oops\n\n", "got '{oops'"),
    ],
    ids=["error event", "error field", "json body", "abort", "broken", "no reason", "no json"],
)
def test_a_failure_behind_status_200_is_said_in_the_servers_words(completion, words):
    with pytest.raises(UserError) as error:
        written(completion)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (b'{"data": null}', "serves no model; expected one"),
        (b"<html>", "got '<html>'; expected a list of models. Does the address end in /v1?"),
        (b'{"data": [{"name": "x"}]}', "expected a list of models"),
    ],
)
def test_a_list_of_models_that_cannot_be_read_is_said(models, words):
    with pytest.raises(UserError) as error:
        written(b"", models)
    assert words in str(error.value)


def test_a_bare_list_of_models_is_read():
    assert written(part("a", "stop"), b'[{"id": "tiny", "max_model_len": "8"}]') == [("a", True)]


def test_a_connection_is_cut_while_its_server_says_nothing():
    line = Line()
    with replying(MODELS, b"") as url:
        server = Server(url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server._url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        threading.Timer(0.1, line.cut).start()
        start = time.monotonic()
        with pytest.raises(UserError, match="no answer"):
            list(server.write([1], {}, line))
        assert time.monotonic() - start < 5


def test_a_connection_that_was_cut_before_it_was_there_ends_at_once():
    line = Line()
    line.cut()
    with replying(MODELS, part("a", "stop")) as url, pytest.raises(UserError):
        list(pieces(url, line))
