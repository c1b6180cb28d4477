"""A Hub on 127.0.0.1 that speaks the HTTP calls of pushing and loading models, and can be told to fail.

>>> with LoopbackHub() as hub:
...     hub.fail = lambda method, path: 500 if "/commit/" in path else None
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

LARGE = (".safetensors",)
LICENCES = ("apache-2.0", "mit", "other")


class LoopbackHub:
    """Repositories in memory.

    Attributes:
        repos: Files of each repository.
        blobs: Large files that arrived, by their SHA-256; a commit makes them visible.
        private: The repositories that were created private.
        calls: Method and path of every request.
        fail: Given method and path, the status to answer with instead, or None.
    """

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.private: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.fail: Callable[[str, str], int | None] = lambda _method, _path: None
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> LoopbackHub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sha(self, repo: str) -> str:
        """The commit, which follows from the files."""
        return hashlib.sha1(repr(sorted(self.repos[repo].items())).encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def log_message(self, *_args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunked()
        self.hub.calls.append((self.command, path))
        self.hub.tokens.add(self.headers.get("Authorization") or "")
        status = self.hub.fail(self.command, path)
        if status:
            self._send(status, b"told to fail")
            return
        for method, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and self.command in method:
                answer(self, body, *found.groups())
                return
        self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = (
            f"{asked['organization']}/{asked['name']}"
            if asked.get("organization")
            else asked["name"]
        )
        known = repo in self.hub.repos
        self.hub.repos.setdefault(repo, {})
        if "private" in (asked.get("visibility"), asked.get("private") and "private") and not known:
            self.hub.private.add(repo)
        self._json({"url": f"{self.hub.url}/{repo}", "id": repo}, 409 if known else 200)

    def validate(self, body: bytes) -> None:
        """As the Hub does, as far as we know: the front matter is YAML, and a licence is one that it has an id for."""
        front = yaml.safe_load(json.loads(body)["content"].split("---")[1])
        licence = front.get("license", "other")
        bad = licence not in LICENCES
        errors = [{"message": f'"license" must be one of [{LICENCES}]'}] if bad else []
        self._json({"errors": errors, "warnings": []}, 400 if bad else 200)

    def preupload(self, body: bytes, repo: str) -> None:
        self._json(
            {
                "files": [
                    {
                        "path": each["path"],
                        "uploadMode": "lfs" if each["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for each in json.loads(body)["files"]
                ]
            }
        )

    def batch(self, body: bytes, repo: str) -> None:
        objects = []
        for each in json.loads(body)["objects"]:
            found = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.hub.blobs:
                found["actions"] = {"upload": {"href": f"{self.hub.url}/blobs/{each['oid']}"}}
            objects.append(found)
        self._json({"objects": objects, "transfer": "basic"})

    def put(self, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.blobs[oid] = body
        self._send(200, b"")

    def commit(self, body: bytes, repo: str) -> None:
        files = self.hub.repos[repo]
        for line in body.splitlines():
            record = json.loads(line)
            value = record["value"]
            if record["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif record["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif record["key"] == "deletedFile":
                del files[value["path"]]
        sha = self.hub.sha(repo)
        self._json(
            {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo}/commit/{sha}"}
        )

    def info(self, _body: bytes, repo: str) -> None:
        if repo not in self.hub.repos:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            return
        siblings = [{"rfilename": name} for name in self.hub.repos[repo]]
        self._json({"id": repo, "sha": self.hub.sha(repo), "siblings": siblings, "private": False})

    def tree(self, _body: bytes, repo: str, folder: str | None) -> None:
        files = self.hub.repos.get(repo, {})
        if folder:
            files = {name: data for name, data in files.items() if name.startswith(f"{folder}/")}
            if not files:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
        found = [
            {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            for name, data in files.items()
        ]
        self._json(found)

    def resolve(self, _body: bytes, repo: str, _revision: str, name: str) -> None:
        data = self.hub.repos.get(repo, {}).get(name)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        self._send(200, data, {"ETag": etag, "X-Repo-Commit": self.hub.sha(repo)})

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


REPO = r"([^/]+/[^/]+)"
ROUTES = (
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("POST",), rf"/api/models/{REPO}/preupload/[^/]+", _Handler.preupload),
    (("POST",), rf"/{REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), r"/blobs/(\w+)", _Handler.put),
    (("POST",), rf"/api/models/{REPO}/commit/[^/]+", _Handler.commit),
    (("GET",), rf"/api/models/{REPO}/tree/[^/]+(?:/(.*))?", _Handler.tree),
    (("GET",), rf"/api/models/{REPO}(?:/revision/[^/]+)?", _Handler.info),
    (("GET", "HEAD"), rf"/{REPO}/resolve/([^/]+)/(.+)", _Handler.resolve),
)
