"""A hub of one repository: its endpoints, and, as the hub has, another storage for large files."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "kiln/tiny"
LARGE = 1024 * 1024
SIGNATURE = "a-signature-that-opens-the-storage"


@dataclass
class Asked:
    """One request. ``start``: of its range."""

    path: str
    start: int
    authorization: str | None


@dataclass
class HubServer:
    """``files`` may be changed between two runs; ``commit`` is that of their content.

    ``cut``: after so many bytes each download of a large file breaks off. ``held``: there it waits
    for ``release``. ``spoiled``: so many downloads arrive with another byte. ``lost``: files
    that the storage fails at. ``refuse``: the status
    and the hub's word for it, for everything.
    """

    files: dict[str, bytes]
    token: str | None = None
    cut: int | None = None
    held: int | None = None
    spoiled: int = 0
    refuse: tuple[int, str] | None = None
    lost: set[str] = field(default_factory=set)
    knows_ranges: bool = True
    sizes: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    holding: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def commit(self) -> str:
        told = sorted((name, sha(data)) for name, data in self.files.items())
        return hashlib.sha1(json.dumps(told).encode(), usedforsecurity=False).hexdigest()

    def downloads(self) -> list[Asked]:
        """Of files, large and small."""
        return [each for each in self.asked if "/api/" not in each.path]

    def info(self) -> dict[str, Any]:
        return {
            "id": REPOSITORY,
            "sha": self.commit,
            "siblings": [self._sibling(name, data) for name, data in self.files.items()],
        }

    def _sibling(self, name: str, data: bytes) -> dict[str, Any]:
        size = self.sizes.get(name, len(data))
        named = b"blob %d\0" % len(data) + data
        blob = hashlib.sha1(named, usedforsecurity=False).hexdigest()
        lfs = {"sha256": sha(data), "size": size, "pointerSize": 1} if len(data) >= LARGE else None
        found = {"rfilename": name, "size": size, "blobId": blob}
        return {**found, "lfs": lfs} if lfs else found


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def running(hub: HubServer) -> Iterator[HubServer]:
    """The hub, on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", hub.port), _handler(hub))
    server.daemon_threads = True
    hub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            hub.asked.append(Asked(self.path, start, self.headers.get("Authorization")))
            path = urlsplit(self.path).path
            if path.startswith("/storage/"):
                self._storage(path, start)
            elif hub.refuse is not None:
                self._empty(hub.refuse[0], {"X-Error-Code": hub.refuse[1]})
            elif hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                self._empty(401, {"X-Error-Code": "RepoNotFound"})
            elif path.startswith(f"/api/models/{REPOSITORY}"):
                self._info(path)
            elif path.startswith(f"/{REPOSITORY}/resolve/{hub.commit}/"):
                self._resolve(path.removeprefix(f"/{REPOSITORY}/resolve/{hub.commit}/"), start)
            else:
                self._empty(404, {"X-Error-Code": "RepoNotFound"})

        def _info(self, path: str) -> None:
            revision = path.partition("/revision/")[2] or "main"
            if revision not in ("main", hub.commit):
                self._empty(404, {"X-Error-Code": "RevisionNotFound"})
                return
            assert parse_qs(urlsplit(self.path).query).get("blobs")
            self._send(200, json.dumps(hub.info()).encode())

        def _resolve(self, name: str, start: int) -> None:
            data = hub.files[name]
            if len(data) < LARGE:
                self._send(206 if start else 200, data[start:])
                return
            # Another host, as far as clients can tell; the address alone opens it.
            where = f"http://localhost:{hub.port}/storage/{sha(data)}?Signature={SIGNATURE}"
            self._empty(302, {"Location": where})

        def _storage(self, path: str, start: int) -> None:
            assert parse_qs(urlsplit(self.path).query)["Signature"] == [SIGNATURE]
            wanted = path.removeprefix("/storage/")
            data = next(each for each in hub.files.values() if sha(each) == wanted)
            if any(hub.files[each] is data for each in hub.lost):
                self._empty(503, {})
                return
            if hub.spoiled:
                hub.spoiled -= 1
                data = data[:-1] + bytes([data[-1] ^ 1])
            if not hub.knows_ranges:
                start = 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            rest = data[start:]
            if (held := hub.held) is not None:
                self.wfile.write(rest[:held])
                self.wfile.flush()
                hub.holding.set()
                hub.release.wait(60)
                rest = rest[held:]
            self.wfile.write(rest[: hub.cut])

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _empty(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            """The tests look at what was asked."""

    return Handler
