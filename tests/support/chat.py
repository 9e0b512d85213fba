"""A chat service on 127.0.0.1 that takes notices."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Chat:
    """A server that takes notices.

    Attributes:
        paths: what was posted to.
        taken: what was posted.
        status: what it answers with.
        answer: the body of that.
        on_taken: called with each notice that was taken, before it is answered.
    """

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.taken: list[dict[str, Any]] = []
        self.status = 200
        self.answer = b""
        self.on_taken: Callable[[], None] = lambda: None
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                chat.paths.append(self.path)
                chat.taken.append(json.loads(body))
                chat.on_taken()
                self.send_response(chat.status)
                self.end_headers()
                self.wfile.write(chat.answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hooks/${{CHAT_TOKEN}}"


@contextmanager
def chatting() -> Iterator[Chat]:
    """Yield one that answers until the block ends."""
    chat = Chat()
    thread = threading.Thread(target=chat.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield chat
    finally:
        chat.server.shutdown()
        thread.join()
        chat.server.server_close()
