"""An index of 1,000 projects on this machine, in a process of its own, which counts what it sends.

    python -m benchmarks.index_server DIRECTORY

It serves the directory at `/files`, prints its port, and ends with its standard input. Each project
has a page as one of PyPI that was released every month for some years; who has it is not sent it
again (RFC 9110, section 13).
What was sent, headers included, is told at `/sent`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

PROJECTS = 1000
VERSIONS = 30
_ENDINGS = ("-py3-none-any.whl", ".tar.gz")
_FIRST = datetime(2020, 1, 1, tzinfo=timezone.utc)
_KIND = "application/vnd.pypi.simple.v1+json"
_LIMIT = 60.0  # seconds


def project(number: int) -> str:
    """Return the name of a project."""
    return f"project-{number}"


def file_name(number: int, version: int, ending: str = _ENDINGS[0]) -> str:
    """Return the name of a file of a project."""
    return f"project_{number}-1.{version}{ending}"


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Yield the server's URL while it serves; projects are below `/simple`, files in `/files`."""
    command = [sys.executable, "-m", "benchmarks.index_server", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:  # noqa: S603
        assert server.stdout is not None  # noqa: S101  # it was asked for
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.communicate(timeout=_LIMIT)


def _page(number: int) -> bytes:
    files = [
        {
            "filename": file_name(number, version, ending),
            "url": f"/files/{file_name(number, version, ending)}",
            "hashes": {"sha256": hashlib.sha256(ending.encode()).hexdigest()},
            "requires-python": ">=3.8",
            "size": 12345,
            "upload-time": f"{_FIRST + timedelta(days=30 * version):%Y-%m-%dT%H:%M:%S.%fZ}",
            "yanked": False,
        }
        for version in range(VERSIONS)
        for ending in _ENDINGS
    ]
    page = {"meta": {"api-version": "1.1"}, "name": project(number), "files": files}
    return json.dumps(page).encode()


class _Index:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pages = {f"/simple/{project(n)}/": _page(n) for n in range(PROJECTS)}
        self._sent = 0

    async def serve(self) -> None:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                answer = self._answer(head.split(" ", 2)[1], head.lower())
                self._sent += len(answer)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, path: str, head: str) -> bytes:
        body = str(self._sent).encode() if path == "/sent" else self._pages.get(path)
        file = self._directory / path.rpartition("/")[2]
        if path.startswith("/files/") and file.is_file():
            body = file.read_bytes()
        if body is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        tag = f'ETag: "{hashlib.sha256(body).hexdigest()[:16]}"\r\n'
        if f"if-none-match: {tag[6:]}".lower() in head:
            return f"HTTP/1.1 304 Not Modified\r\n{tag}\r\n".encode()
        length = f"Content-Type: {_KIND}\r\nContent-Length: {len(body)}\r\n"
        return f"HTTP/1.1 200 OK\r\n{tag}{length}\r\n".encode() + body


if __name__ == "__main__":
    asyncio.run(_Index(Path(sys.argv[1])).serve())
