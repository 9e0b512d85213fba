"""A package index on loopback for what a resolve may choose beside the user's indexes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

from elt_env.package.names import normalize
from elt_env.pip.port import Shelf

_OWN_ADDRESS = "127.0.0.2"
_TAG = "py3-none-any.whl"
_LONG_AGO = "2000-01-01T00:00:00Z"
_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class ServedShelf:
    """Where a shelf is served.

    Attributes:
        index: the URL of its simple API (PEP 691), for the names that only the shelf has.
        host: the address in both URLs.
        links: the URL of a page with the files that stand beside those of the indexes.
    """

    index: str
    host: str
    links: str


@contextlib.contextmanager
def serving(shelf: Shelf) -> Iterator[ServedShelf]:
    """Serve a shelf until the block ends; the metadata are those of PEP 658."""
    token = secrets.token_hex(8)  # nothing that was cached of a shelf before may be taken for this

    class Handler(_Handler):
        pass

    Handler.shelf, Handler.root = shelf, f"/{token}"
    with _server(Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        host = str(server.server_address[0])
        base = f"http://{host}:{server.server_port}/{token}"
        try:
            yield ServedShelf(f"{base}/simple", host, f"{base}/links")
        finally:
            server.shutdown()
            thread.join()


def _server(handler: type[_Handler]) -> ThreadingHTTPServer:
    """Return a server on an address of loopback that a user's own servers are not at, if it can."""
    try:
        return ThreadingHTTPServer((_OWN_ADDRESS, 0), handler)
    except OSError:  # systems on which loopback is one address
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


class _Handler(BaseHTTPRequestHandler):
    shelf: Shelf
    root: str
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; the second would wait 40 ms for a delayed ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer with a page or with metadata."""
        path = unquote(self.path)
        try:
            content_type, body = self._content(path.removeprefix(self.root))
        except (KeyError, ValueError):
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"")
        else:
            self._answer(HTTPStatus.OK, content_type, body.encode())

    def _content(self, path: str) -> tuple[str, str]:
        parts = path.strip("/").split("/")
        if parts == ["links"]:
            return "text/html", _links(self.root, self.shelf.beside)
        if parts[0] == "simple":
            return _JSON, _page(self.root, parts[1], self.shelf.versions(parts[1]))
        name, version, rest = parts[1].split("-", maxsplit=2)
        if parts[0] != "files" or not rest.endswith(".metadata"):
            raise KeyError(path)
        return "text/plain", self.shelf.metadata(normalize(name), version)

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _file(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}-{_TAG}"


def _links(root: str, beside: tuple[tuple[str, str], ...]) -> str:
    lines = []
    for name, version in beside:
        file = _file(name, version)
        url = f"{root}/files/{quote(file)}"
        lines.append(f'<a href="{escape(url)}" data-core-metadata="true">{escape(file)}</a>')
    return "\n".join(["<!DOCTYPE html><html><body>", *lines, "</body></html>"])


def _page(root: str, name: str, versions: tuple[str, ...] | None) -> str:
    if versions is None:
        raise KeyError(name)
    files = [
        {
            "filename": _file(name, each),
            "url": f"{root}/files/{quote(_file(name, each))}",
            # Two files with one hash are the same file to uv; Poetry fetches what has none.
            "hashes": {"sha256": hashlib.sha256(_file(name, each).encode()).hexdigest()},
            "core-metadata": True,
            "upload-time": _LONG_AGO,
        }
        for each in versions
    ]
    page = {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": [*versions]}
    return json.dumps(page)
