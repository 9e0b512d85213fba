"""Files are fetched from a local server, checked, and kept by their hash."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from elt_env.errors import IndexUnreachableError, IntegrityError, StorageError, TimeLimitError
from elt_env.index.download import Downloads
from elt_env.machine.indexes import Indexes, parse_index
from tests.support.index_server import dead_url
from tests.support.loopback import NOT_FOUND, SERVER_ERROR, LoopbackServer, Reply

_DATA = bytes(range(256)) * 40
_SHA256 = hashlib.sha256(_DATA).hexdigest()
_NAME = "app-1.0%2Blocal-py3-none-any.whl"
_FILE = "app-1.0+local-py3-none-any.whl"


class _Files(LoopbackServer):
    """Answers with the replies it was given, one a request, the last for ever.

    Attributes:
        logins: the Authorization header of every request.
    """

    def __init__(self, *replies: Reply) -> None:
        super().__init__()
        self.replies = list(replies)
        self.logins: list[str | None] = []

    @property
    def url(self) -> str:
        return f"{self.base_url}/{_NAME}"

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        del path
        self.logins.append(headers.get("authorization"))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


Serve = Callable[..., _Files]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with the given replies; the file, when there are none."""
    servers: list[tuple[_Files, threading.Thread]] = []

    def start(*replies: Reply) -> _Files:
        server = _Files(*(replies or (Reply(body=_DATA),)))
        thread = threading.Thread(target=server.serve)
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.close()
        thread.join()


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    """An empty directory of downloads."""
    return Downloads(tmp_path / "downloads", Indexes())


def _left(place: Path) -> list[str]:
    return [each.name for each in place.rglob("*") if each.is_file()]


def test_a_file_is_downloaded_once_and_kept(
    downloads: Downloads, serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    path = downloads.fetch(server.url + "?token=1#egg", _SHA256)
    assert path == tmp_path / "downloads" / _SHA256 / _FILE
    assert path.read_bytes() == _DATA
    assert downloads.fetch(server.url, _SHA256) == path
    assert server.requests.total() == 1
    assert _left(tmp_path) == [_FILE]


def test_a_kept_file_that_was_changed_is_downloaded_again(
    downloads: Downloads, serve: Serve
) -> None:
    server = serve()
    path = downloads.fetch(server.url, _SHA256)
    path.write_bytes(b"something else")
    assert downloads.fetch(server.url, _SHA256).read_bytes() == _DATA


def test_connections_are_kept_for_many_files_and_closed_behind_the_last(
    downloads: Downloads, serve: Serve
) -> None:
    bodies = [bytes([each]) * 99 for each in range(6)]
    server = serve(*(Reply(body=each) for each in bodies))
    with downloads.connected():
        for each in bodies[:2]:
            downloads.fetch(server.url, hashlib.sha256(each).hexdigest())
        with downloads.connected():
            downloads.fetch(server.url, hashlib.sha256(bodies[2]).hexdigest())
        downloads.fetch(server.url, hashlib.sha256(bodies[3]).hexdigest())
    assert server.connections == 1
    for each in bodies[4:]:
        downloads.fetch(server.url, hashlib.sha256(each).hexdigest())
    assert server.connections == 3


def test_what_is_kept_is_had_though_no_connection_can_be_made(
    downloads: Downloads, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    path = downloads.fetch(server.url, _SHA256)
    monkeypatch.setenv("SSL_CERT_FILE", str(path.parent / "lost.pem"))
    with downloads.connected():
        assert downloads.fetch(server.url, _SHA256) == path


def test_other_bytes_are_refused(downloads: Downloads, serve: Serve, tmp_path: Path) -> None:
    server = serve(Reply(body=b"other bytes"))
    with pytest.raises(IntegrityError, match=r"Hash mismatch of app-1\.0") as caught:
        downloads.fetch(server.url, _SHA256)
    assert _SHA256 in caught.value.problem
    assert hashlib.sha256(b"other bytes").hexdigest() in caught.value.problem
    assert "relock" in caught.value.remedy
    assert _left(tmp_path) == []


@pytest.mark.parametrize("stumble", [SERVER_ERROR, Reply(body=_DATA, cut=True)])
def test_a_server_that_stumbles_is_asked_again(
    downloads: Downloads, serve: Serve, stumble: Reply
) -> None:
    server = serve(stumble, stumble, Reply(body=_DATA))
    assert downloads.fetch(server.url, _SHA256).read_bytes() == _DATA


@pytest.mark.parametrize(
    ("reply", "words", "times"),
    [
        (NOT_FOUND, "HTTP status 404", 1),
        (SERVER_ERROR, "HTTP status 500", 3),
        (Reply(body=_DATA, cut=True), "without sending complete", 3),
    ],
)
def test_a_file_that_cannot_be_had(
    *, downloads: Downloads, serve: Serve, tmp_path: Path, reply: Reply, words: str, times: int
) -> None:
    server = serve(reply)
    with pytest.raises(IndexUnreachableError, match=words) as caught:
        downloads.fetch(server.url + "?token=s3cret", _SHA256)
    assert server.url in caught.value.problem
    assert "s3cret" not in str(caught.value)
    assert (caught.value.exit_code, caught.value.retryable) == (4, True)
    assert server.requests.total() == times
    assert _left(tmp_path) == []


def test_nobody_answers(downloads: Downloads) -> None:
    with pytest.raises(IndexUnreachableError, match="refused"):
        downloads.fetch(f"{dead_url()}/{_NAME}", _SHA256)


def test_a_download_that_takes_too_long(serve: Serve, tmp_path: Path) -> None:
    server = serve(Reply(body=_DATA * 1000))
    with pytest.raises(TimeLimitError, match="longer than 0 s") as caught:
        Downloads(tmp_path, Indexes(), limit=0.0).fetch(server.url, _SHA256)
    assert "tool-limit" in caught.value.remedy
    assert _left(tmp_path) == []


def test_a_file_of_this_machine(downloads: Downloads, tmp_path: Path) -> None:
    wheel = tmp_path / _FILE
    wheel.write_bytes(_DATA)
    assert downloads.fetch(wheel.as_uri(), _SHA256).read_bytes() == _DATA
    wheel.unlink()
    with pytest.raises(IndexUnreachableError, match="no such file"):
        downloads.fetch(wheel.as_uri(), "0" * 64)


def test_a_file_that_is_compressed_itself_is_taken_as_it_is(
    downloads: Downloads, serve: Serve
) -> None:
    # Some servers declare an sdist's own gzip as the encoding of the transfer.
    server = serve(Reply(body=_DATA, headers={"Content-Encoding": "gzip"}))
    assert downloads.fetch(server.url, _SHA256).read_bytes() == _DATA


def test_credentials_go_to_their_own_origin_only(serve: Serve, tmp_path: Path) -> None:
    own, other = serve(), serve()
    moved = serve(Reply(302, headers={"Location": other.url}))
    login = own.base_url.replace("://", "://reader:open-sesame@")
    moved_login = moved.base_url.replace("://", "://reader:open-sesame@")
    indexes = Indexes(parse_index(f"{login}/simple"), (parse_index(f"{moved_login}/simple"),))
    for number, server in enumerate((own, other, moved)):
        Downloads(tmp_path / f"{number}", indexes).fetch(server.url, _SHA256)
    assert own.logins[0] is not None
    assert moved.logins[0] is not None
    assert other.logins == [None, None]


def test_a_full_disk(serve: Serve, no_space: Path) -> None:
    data = _DATA * 100
    server = serve(Reply(body=data))
    with pytest.raises(StorageError, match="No space left"):
        Downloads(no_space, Indexes()).fetch(server.url, hashlib.sha256(data).hexdigest())
    assert _left(no_space) == []


def test_a_directory_that_cannot_be_written(serve: Serve, unwritable: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        Downloads(unwritable / "downloads", Indexes()).fetch(serve().url, _SHA256)
