"""An HTTP server on 127.0.0.1, and a URL where nobody answers."""

from __future__ import annotations

import contextlib
import functools
import re
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

_HOST = "127.0.0.1"
_RANGE = re.compile(r"bytes=(?P<first>\d*)-(?P<last>\d*)")


@dataclass(frozen=True)
class Reply:
    """What a server answers.

    Attributes:
        cut: send half of the body, then close the connection.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


NOT_FOUND = Reply(404, b"not found\n", "text/plain")
SERVER_ERROR = Reply(500, b"internal server error\n", "text/plain")
NONSENSE = Reply(200, b"<!doctype html><title>Wi-Fi</title><p>Please sign in.\n", "text/html")


@dataclass(frozen=True)
class Asked:
    """A request for `path` that got the answer `status`; `headers` have names in lower case."""

    path: str
    status: int
    headers: Mapping[str, str] = field(repr=False)


class _Server(ThreadingHTTPServer):
    connections = 0

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()


class LoopbackServer(ABC):
    """Serves what `answer` says, on a free port, once it is `running`.

    Attributes:
        busy: how many of the next requests for paths that contain a text get `busy_status`.
        retry_after: what these are told to wait for, in seconds or until a date; "" for nothing.
        asked: every request, in order.
        requests: how often each path was asked for.
        statuses: how often each status was answered.
        sent: bytes of all bodies that were sent.
        hang: seconds by which every answer is late; closing the server ends the wait.
    """

    def __init__(self) -> None:
        self.busy: Counter[str] = Counter()
        self.busy_status = 429
        self.retry_after = "1"
        self.asked: list[Asked] = []
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.hang = 0.0
        self._scheme = "http"
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server((_HOST, 0), self._handler())
        self._server.daemon_threads = True

    @property
    def connections(self) -> int:
        """How many were made."""
        return self._server.connections

    @property
    def base_url(self) -> str:
        """The server's root, without a slash at the end."""
        return f"{self._scheme}://{_HOST}:{self._server.server_address[1]}"

    def use_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS; to be called before the server is `running`."""
        self._scheme = "https"
        # The handshake is left to the thread of the connection: a client may refuse it.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    @abstractmethod
    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Return the reply to a GET of `path`; the names in `headers` are lower case."""

    def serve(self) -> None:
        """Answer until `close` is called, in another thread."""
        # 0.05: how often, in seconds, the loop looks whether it shall end.
        self._server.serve_forever(0.05)

    def close(self) -> None:
        """End `serve` and every answer that still hangs, and give the port back."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def _reply(self, path: str, headers: Mapping[str, str]) -> Reply:
        with self._lock:
            self.requests[path] += 1
        if self.hang:
            self._closing.wait(self.hang)
        reply = self._busy(path) or _part(self.answer(path, headers), headers.get("range"))
        with self._lock:
            self.asked.append(Asked(path, reply.status, headers))
            self.statuses[reply.status] += 1
            self.sent += len(reply.body)
        return reply

    def _busy(self, path: str) -> Reply | None:
        with self._lock:
            found = next((each for each, left in self.busy.items() if left and each in path), None)
            if found is None:
                return None
            self.busy[found] -= 1
        told = {"Retry-After": self.retry_after} if self.retry_after else {}
        return Reply(self.busy_status, b"not now\n", "text/plain", told)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        reply_to = self._reply

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body are two writes; the second would wait 40 ms for a delayed ACK.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = reply_to(self.path.partition("?")[0], headers)
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self._send_body(reply)

            def do_HEAD(self) -> None:
                self.do_GET()

            def _send_body(self, reply: Reply) -> None:
                if reply.cut:
                    self.close_connection = True
                if self.command != "HEAD":
                    end = len(reply.body) // 2 if reply.cut else len(reply.body)
                    self.wfile.write(reply.body[:end])

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):  # a client may leave at any time
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
                del format, args

        return Handler


_Running = TypeVar("_Running", bound=LoopbackServer)


@contextlib.contextmanager
def running(server: _Running) -> Iterator[_Running]:
    """Let a new server answer until the block ends."""
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


def _part(reply: Reply, wanted: str | None) -> Reply:
    """Return the part of a reply that a Range header asks for (RFC 9110, section 14)."""
    asked = _RANGE.fullmatch(wanted or "")
    if asked is None or reply.status != 200:
        return reply
    size = len(reply.body)
    first, last = asked["first"], asked["last"]
    start = int(first) if first else max(0, size - int(last or 0))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return Reply(416, headers={"Content-Range": f"bytes */{size}"})
    span = {"Content-Range": f"bytes {start}-{end}/{size}", "Accept-Ranges": "bytes"}
    return Reply(206, reply.body[start : end + 1], reply.content_type, span)


def corrupted(archive: bytes) -> bytes:
    """Return a wheel, .conda or gzip archive with another time in it.

    It has the same length and can still be read, but it is not what its hash says.
    """
    # Offset 12 of a central directory entry is the file's time; offset 4 of gzip as well.
    entry = archive.rfind(b"PK\x01\x02")
    place = entry + 12 if entry >= 0 else 4
    return archive[:place] + bytes([archive[place] ^ 1]) + archive[place + 1 :]


@functools.cache
def _silent_socket() -> socket.socket:
    # Bound, so that nobody else gets the port, but never listening.
    silent = socket.socket()
    silent.bind((_HOST, 0))
    return silent


def dead_url() -> str:
    """Return a URL at which every connection is refused."""
    return f"http://{_HOST}:{_silent_socket().getsockname()[1]}/simple"
