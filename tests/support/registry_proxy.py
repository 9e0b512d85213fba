"""What can stand between a client and a registry or a bucket, or behind it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.loopback import LoopbackServer, Reply

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Asked:
    """A request that came to a proxy, with the names of its headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


class FaultProxy:
    """Stands before a server, counts what passes, and does to it what a test wants.

    Attributes:
        asked: every request.
        received: bytes of bodies that clients sent.
        sent: bytes of bodies that clients got.
        faults: what the next requests are answered with, one each; None lets one pass.
        only: which requests faults are for.
        lost: how many of these are done, and their connections cut without an answer.
        latency: seconds by which every request is late.
        cut_request: bytes of bodies after which the connection is cut, once.
        cut_answer: the same for the bodies of answers.
        buffering: whether a body goes on only when it is there whole, as nginx does by default.
        hang: whether nothing is answered any more.
    """

    def __init__(self, upstream: str) -> None:
        self.asked: list[Asked] = []
        self.received = self.sent = 0
        self.faults: deque[Reply | None] = deque()
        self.only: Callable[[Asked], bool] = lambda _: True
        self.lost = 0
        self.latency = 0.0
        self.cut_request: int | None = None
        self.cut_answer: int | None = None
        self.buffering = True
        self.hang = False
        self.closing = threading.Event()
        self.upstream = upstream
        self._server = ThreadingHTTPServer((_HOST, 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def host(self) -> str:
        """Its `host:port`."""
        return f"{_HOST}:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:  # noqa: PYI034  # Self is Python 3.11's
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def methods(self, *names: str) -> list[str]:
        """Return the methods among `names` that were asked for, in order."""
        return [each.method for each in self.asked if each.method in names]

    def _handler(self) -> type[_Handler]:
        class Handler(_Handler):
            proxy = self

        return Handler


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _pass(self) -> None:
        proxy = self.proxy
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers)
        proxy.asked.append(asked)
        if proxy.hang:
            proxy.closing.wait(60)
        if proxy.latency:
            proxy.closing.wait(proxy.latency)
        size = int(headers.get("content-length", "0"))
        fault = proxy.faults.popleft() if proxy.faults and proxy.only(asked) else None
        if fault:
            self.rfile.read(size)
            self._answer(fault.status, fault.headers, fault.body)
            return
        upstream = http.client.HTTPConnection(proxy.upstream, timeout=10)
        with contextlib.closing(upstream):
            body = self._body(size)
            if len(body) < size:
                self._cut(upstream, body)
                return
            upstream.request(self.command, self.path, body or None, dict(self.headers.items()))
            response = upstream.getresponse()
            if proxy.lost and proxy.only(asked):
                proxy.lost -= 1
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            kept = {
                name: value
                for name, value in response.getheaders()
                if name.lower() not in ("content-length", "transfer-encoding", "connection")
            }
            length = response.getheader("Content-Length")
            self._answer(response.status, kept, response.read(), length)

    def _body(self, size: int) -> bytes:
        """Return the body, or its beginning when it is to be cut."""
        proxy = self.proxy
        if proxy.cut_request is not None and proxy.received + size > proxy.cut_request:
            size, proxy.cut_request = proxy.cut_request - proxy.received, None
        body = self.rfile.read(size)
        proxy.received += len(body)
        return body

    def _cut(self, upstream: http.client.HTTPConnection, body: bytes) -> None:
        if not self.proxy.buffering:
            upstream.putrequest(self.command, self.path, skip_host=True)
            for name, value in self.headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(
        self, status: int, headers: Mapping[str, str], body: bytes, length: str | None = None
    ) -> None:
        proxy = self.proxy
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if proxy.cut_answer is not None and proxy.sent + len(body) > proxy.cut_answer:
            body, proxy.cut_answer = body[: proxy.cut_answer - proxy.sent], None
            self.close_connection = True
        proxy.sent += len(body)
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # a client may leave at any time
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        del format, args


class Storage(LoopbackServer):
    """What a registry's redirects lead to: blobs, for everyone who knows their URL.

    Attributes:
        headers: of every request, with names in lower case.
        refusal: what it answers instead, if anything.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blobs: dict[str, bytes] = {}
        self.headers: list[Mapping[str, str]] = []
        self.refusal: Reply | None = None

    def add(self, data: bytes) -> str:
        """Keep a blob; return its URL."""
        path = f"/{hashlib.sha256(data).hexdigest()}"
        self.blobs[path] = data
        return f"{self.base_url}{path}?signature=of-the-storage"

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer with the blob."""
        self.headers.append(headers)
        return self.refusal or Reply(body=self.blobs[path])
