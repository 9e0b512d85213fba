"""The core metadata of distributions: of installed ones, and of wheels that are not downloaded.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.parser import HeaderParser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

import httpx

from elt_env.index.http_client import open_client
from elt_env.index.project_page import IndexFile
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import Logins
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import open_file, read_stored_text

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ProjectUrls = tuple[str, ...]
"""The fields of one distribution, as in `Changelog, https://project.example/news`."""

_Item = TypeVar("_Item")
_Read = TypeVar("_Read")
_AT_ONCE = 8
_LARGEST = 2_000_000  # bytes; a description stands in it, but no book
_SILENCE = 5.0
_LIMIT = 20.0  # seconds for all together
_UNREADABLE = (
    *(OSError, LookupError, ValueError, zipfile.BadZipFile, NotImplementedError),
    *(httpx.HTTPError, httpx.InvalidURL),
)
_TAIL = 65_536  # bytes at the end of a wheel, in which its metadata usually are


def project_urls_in(metadata: str) -> ProjectUrls:
    """Return the Project-URL fields of core metadata."""
    fields = HeaderParser().parsestr(metadata).get_all("Project-URL", [])
    return tuple(str(each) for each in fields)


def offered_project_urls(wheels: Iterable[str], indexes: Indexes) -> dict[str, ProjectUrls]:
    """Return the fields of wheels, by the wheels' URLs, from the metadata beside them (PEP 658).

    No wheel is downloaded. What cannot be had in time is left out: nothing depends on it.
    """
    urls = list(wheels)
    texts = zip(urls, _each(urls, _get, indexes), strict=True)
    return {url: project_urls_in(text) for url, text in texts if text is not None}


def _each(
    items: Iterable[_Item], read: Callable[[httpx.Client, _Item, float], _Read], indexes: Indexes
) -> tuple[_Read, ...]:
    """Return what `read` returns for each, by the moment that all have to be read."""
    end = time.monotonic() + _LIMIT
    with (
        open_client(Logins(indexes), silence=_SILENCE) as client,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        return tuple(pool.map(lambda each: read(client, each, end), items))


def _get(client: httpx.Client, wheel: str, end: float) -> str | None:
    content = bytearray()
    if time.monotonic() > end:
        return None
    try:
        with client.stream("GET", f"{wheel}.metadata") as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > _LARGEST or time.monotonic() > end:
                    return None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    return content.decode("utf-8", errors="replace")


def offered_metadata(
    files: Sequence[IndexFile], indexes: Indexes, cache: Path
) -> tuple[str | None, ...]:
    """Return the core metadata of each wheel on an index; None where they cannot be had cheaply.

    They are read from beside the wheel (PEP 658), else from the end of it, which is an archive
    whose list of contents stands last (binary distribution format).

    Args:
        files: the wheels.
        indexes: whose credentials go to their own origins.
        cache: a directory that is made when needed, and may be removed at any time.
    """
    return _each(files, partial(_cached, cache), indexes)


def _cached(cache: Path, client: httpx.Client, file: IndexFile, end: float) -> str | None:
    """Return the fields of a wheel's metadata; the description is left out."""
    named = f"{file.url} {file.uploaded} {file.size}"
    path = cache / f"{hashlib.sha256(named.encode()).hexdigest()}.txt"
    try:
        return read_stored_text(path)
    except OSError:
        text = _offered(client, file, end)
    if text is None:
        return None
    head = text.replace("\r\n", "\n").partition("\n\n")[0]
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(path, head)
    return head


def _offered(client: httpx.Client, file: IndexFile, end: float) -> str | None:
    if not file.is_wheel or time.monotonic() > end:
        return None
    address = urlsplit(file.url)
    try:
        if address.scheme == "file":
            return _metadata_in(open_file(Path(unquote(address.path))))
        beside = _get(client, file.url, end) if file.has_metadata else None
        return beside or _metadata_in(io.BufferedReader(_RemoteFile(client, file.url)))
    except _UNREADABLE:
        return None


def offered_contents(
    wheels: Sequence[str], indexes: Indexes
) -> tuple[Mapping[str, str] | None, ...]:
    """Return what is in each wheel on an index; None where that cannot be had cheaply.

    It is read from the list at the wheel's end: by path its size and CRC-32, which differ when the
    content does, but for who means them not to.

    Args:
        wheels: their URLs.
        indexes: whose credentials go to their own origins.
    """
    return _each(wheels, _contents, indexes)


def _contents(client: httpx.Client, url: str, end: float) -> Mapping[str, str] | None:
    address = urlsplit(url)
    if not address.path.endswith(".whl") or time.monotonic() > end:
        return None
    try:
        if address.scheme == "file":
            return contents_of_wheel(Path(unquote(address.path)))
        return _listed(io.BufferedReader(_RemoteFile(client, url)))
    except _UNREADABLE:
        return None


def contents_of_wheel(path: Path) -> Mapping[str, str]:
    """Return the same of a wheel that is here.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it is none.
    """
    return _listed(open_file(path))


def _listed(archive: io.BufferedReader) -> Mapping[str, str]:
    with archive, zipfile.ZipFile(archive) as wheel:
        return {each.filename: f"{each.file_size} {each.CRC:08x}" for each in wheel.infolist()}


def _metadata_in(archive: io.BufferedReader) -> str:
    with archive, zipfile.ZipFile(archive) as wheel:
        (entry,) = (
            each
            for each in wheel.infolist()
            if each.filename.count("/") == 1 and each.filename.endswith(".dist-info/METADATA")
        )
        if entry.file_size > _LARGEST:
            raise ValueError(entry.file_size)
        return wheel.read(entry).decode("utf-8", errors="replace")


class _RemoteFile(io.RawIOBase):
    """A file on a server that sends parts of it (RFC 9110, section 14)."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url
        self._place = 0
        self._tail, self._size = self._part(f"-{_TAIL}")

    def _part(self, wanted: str) -> tuple[bytes, int]:
        """Return a part and the size of the whole."""
        asked = {"Range": f"bytes={wanted}", "Accept-Encoding": "identity"}
        with self._client.stream("GET", self._url, headers=asked) as answer:
            if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise OSError(answer.status_code)
            return answer.read(), int(answer.headers["Content-Range"].rpartition("/")[2])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._place + len(view), self._size)
        start = self._size - len(self._tail)
        if self._place >= end:
            return 0
        if self._place >= start:
            data = self._tail[self._place - start : end - start]
        else:
            data, _ = self._part(f"{self._place}-{end - 1}")
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
