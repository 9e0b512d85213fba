"""A proxy on 127.0.0.1 between a client and the servers of a test."""

from __future__ import annotations

import base64
import http.client
import select
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOST = "127.0.0.1"
_CHUNK = 1 << 16


@dataclass
class ForwardProxy:
    """Passes on requests, and connections for TLS (RFC 9110, 9.3.6).

    Attributes:
        login: the `user:password` that it asks for (407), or "".
        login_page: whether it answers each request with a page instead, as some do before a
            person has signed in.
        passed: `host:port` of what it was asked for and let through.
        refused: how many requests it did not let through.
    """

    login: str = ""
    login_page: bool = False
    passed: list[str] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(
            (_HOST, 0), type("Handler", (_Handler,), {"proxy": self})
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        """Its port."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its URL, without a login."""
        return f"http://{_HOST}:{self.port}"

    @property
    def url_with_login(self) -> str:
        """Its URL, with the login that it asks for."""
        return f"http://{self.login}@{_HOST}:{self.port}"

    def __enter__(self) -> ForwardProxy:  # noqa: PYI034  # Self is Python 3.11's
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def knows(self, header: str | None) -> bool:
        """Tell whether a Proxy-Authorization header is the one that is asked for."""
        expected = "Basic " + base64.b64encode(self.login.encode()).decode()
        return not self.login or header == expected


class _Handler(BaseHTTPRequestHandler):
    proxy: ForwardProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if self._stopped(address.netloc):
            return
        upstream = http.client.HTTPConnection(address.netloc, timeout=10)
        path = address.path + (f"?{address.query}" if address.query else "")
        upstream.request("GET", path, headers=dict(self.headers.items()))
        answer = upstream.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self._send(body)
        upstream.close()

    def do_CONNECT(self) -> None:
        if self._stopped(self.path):
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as upstream:
            self.send_response(200, "Connection established")
            self.end_headers()
            self._tunnel(upstream)
        self.close_connection = True

    def _stopped(self, target: str) -> bool:
        if not self.proxy.knows(self.headers.get("Proxy-Authorization")):
            self.proxy.refused += 1
            self.send_response(407, "Proxy Authentication Required")
            self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
            self._send(b"who are you?\n")
            return True
        if self.proxy.login_page:
            self.proxy.refused += 1
            self.send_response(200 if self.command == "GET" else 403)
            self.send_header("Content-Type", "text/html")
            self._send(b"<!doctype html><title>Proxy</title><p>Please sign in.\n")
            return True
        self.proxy.passed.append(target)
        return False

    def _send(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _tunnel(self, upstream: socket.socket) -> None:
        ends = {self.connection: upstream, upstream: self.connection}
        while True:
            for each in select.select(list(ends), [], [], 10)[0]:
                data = each.recv(_CHUNK)
                if not data:
                    return
                ends[each].sendall(data)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # either end may leave at any time
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        del format, args
