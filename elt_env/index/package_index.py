"""Look up many projects on package indexes at once, at little cost each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from elt_env.errors import EltEnvError
from elt_env.index import http_client, index_errors
from elt_env.index.core_metadata import offered_metadata
from elt_env.index.http_client import REFUSED, open_client, pause, retry_after
from elt_env.index.page_cache import CachedPage, PageCache, visible
from elt_env.index.page_parsing import ACCEPT, file_at, parse_links, parse_page
from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.machine.indexes import Indexes
from elt_env.machine.logins import Logins
from elt_env.runtime.input_files import read_stored

_AT_ONCE = 8
_EACH = 20.0
LOOK_LIMIT = 60.0
_JUST_NOW = 10.0  # seconds
_ATTEMPTS = 3
_LONGEST_PAUSE = 20.0
_NOT_THERE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


@dataclass(frozen=True)
class IndexAnswers:
    """What the indexes said about every project that was asked for.

    Attributes:
        pages: by normalized name, of each project that its index has.
        gone: the names of projects that their index answers for with 404, sorted.
        unchanged: the names of projects whose page is as it was at the last look, sorted.
        requests: how many requests were sent.
        received: bytes of the bodies of the answers, as they came over the network.
    """

    pages: Mapping[str, ProjectPage]
    gone: tuple[str, ...]
    unchanged: tuple[str, ...]
    requests: int
    received: int


class PackageIndex:
    """Reads the pages of projects (PEP 503, 691), at most eight at once.

    Pages are kept in a directory with what their index said they can be asked for by (RFC 9110,
    conditional requests), so that one that did not change is not sent again.

    Args:
        indexes: whose credentials go to their own origins.
        cache: the directory of the pages; made when needed, may be removed at any time.
        limit: seconds that one look may take, all projects together.
    """

    def __init__(self, indexes: Indexes, cache: Path, limit: float = LOOK_LIMIT) -> None:
        self._indexes = indexes
        self._cache = PageCache(cache)
        self._metadata = cache / "metadata"
        self._limit = limit
        self._known: dict[tuple[str, str], tuple[float, ProjectPage | None]] = {}
        self._link_pages: dict[str, tuple[bytes, str, str]] = {}
        self._ahead: threading.Thread | None = None

    def look_ahead(self, asked: Mapping[str, str]) -> None:
        """Begin to look at projects, while something else is done.

        A look that takes what is a while old waits for it. What cannot be had is asked for again
        when it is needed; nothing is raised. What was looked at just now is left out.
        """
        known = self._since(time.monotonic() - _JUST_NOW)
        new = {name: index for name, index in asked.items() if (name, index) not in known}

        def work() -> None:
            with contextlib.suppress(EltEnvError):
                self.look(new, may_lack=True)

        if new and self._ahead is None:
            self._ahead = threading.Thread(target=work, daemon=True)
            self._ahead.start()

    def look(
        self, asked: Mapping[str, str], *, may_lack: bool = False, max_age: float = 0.0
    ) -> IndexAnswers:
        """Return what the indexes say about projects: normalized name to the index's URL.

        Every project is in the answer: in its pages or among those that are gone. Unless an index
        `may_lack` them, one that has none of several is taken for one that is not there. What was
        said at most `max_age` seconds ago is not asked for again.

        Raises:
            IndexUnreachableError: an index does not answer for some project, or not in time, or
                with something else than that project's page; it names both. What other projects'
                pages said is kept, so that the next look is cheaper.
            StorageError: pages cannot be kept.
        """
        if max_age and self._ahead is not None:
            self._ahead.join()
        timer = _Timer(self._limit)
        # HTTP/1.1: threads that share an HTTP/2 connection of httpcore break its header tables.
        with open_client(
            Logins(self._indexes), headers={"Accept": ACCEPT}, connections=_AT_ONCE
        ) as client:
            known = self._since(time.monotonic() - max_age)
            look = _Look(client, self._cache, timer)
            answers = look.at_all({k: v for k, v in asked.items() if (k, v) not in known})
        now = time.monotonic()
        self._known |= {(each, asked[each]): (now, page) for each, page in answers.items()}
        answers |= {k: known[k, v] for k, v in asked.items() if (k, v) in known}
        gone = tuple(sorted(name for name, page in answers.items() if page is None))
        if not may_lack:
            index_errors.refuse_empty(asked, gone)
        return IndexAnswers(
            pages={name: page for name, page in answers.items() if page is not None},
            gone=gone,
            unchanged=tuple(sorted(look.unchanged)),
            requests=look.requests,
            received=look.received,
        )

    def seen(
        self, asked: Mapping[str, str], limit: datetime | None, *, free: Collection[str] = ()
    ) -> Mapping[str, str | None]:
        """Return a digest of what can be seen of each project's page under a cut-off.

        "" where its index has no such project; None where a file could be another one and the page
        the same. The cut-off does not concern the names that are `free`.

        Raises: as `look`.
        """
        looked = self.look(asked, may_lack=True)
        found = {
            name: visible(page, None if name in free else limit)
            for name, page in looked.pages.items()
        }
        return found | dict.fromkeys(looked.gone, "")

    def linked(self, name: str) -> tuple[IndexFile, ...]:
        """Return the files of a project in the directories and on the pages of archives.

        Raises:
            IndexUnreachableError: one of these cannot be read.
        """
        return tuple(
            file
            for link in self._indexes.links
            for file in (
                self._on_page(link, name)
                if urlsplit(link).scheme in ("http", "https")
                else _in_directory(Path(unquote(link.removeprefix("file://"))), name)
            )
        )

    def _on_page(self, link: str, name: str) -> tuple[IndexFile, ...]:
        if link not in self._link_pages:
            with open_client(Logins(self._indexes)) as client:
                look = _Look(client, self._cache, _Timer(self._limit))
                self._link_pages[link] = look.page_of_archives(link, name)
        try:
            return parse_links(*self._link_pages[link], name)
        except ValueError as error:
            raise index_errors.nonsense(name, link, str(error)) from error

    def _since(self, moment: float) -> dict[tuple[str, str], ProjectPage | None]:
        """Return what was said later than a moment, by project and index."""
        return {each: page for each, (at, page) in self._known.items() if at > moment}

    def metadata(self, files: Sequence[IndexFile]) -> tuple[str | None, ...]:
        """Return the core metadata of wheels, without their descriptions.

        None for what cannot be had without a download.
        """
        return offered_metadata(files, self._indexes, self._metadata)


class _Timer:
    """The time that is left for a look; it ends at once when somebody ends it."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._ended = threading.Event()

    @property
    def left(self) -> float:
        """Seconds that are left, 0 when it is over."""
        return 0.0 if self._ended.is_set() else max(0.0, self._end - time.monotonic())

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        self._ended.wait(min(seconds, self.left))

    def end(self) -> None:
        self._ended.set()


class _OverError(Exception):
    """There is no time left."""


@dataclass
class _Look:
    """One look at many projects.

    Attributes:
        unchanged: the names of projects whose page is as it was.
        requests, received: as in IndexAnswers.
    """

    client: httpx.Client
    cache: PageCache
    timer: _Timer
    unchanged: set[str] = field(default_factory=set)
    requests: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at_all(self, asked: Mapping[str, str]) -> dict[str, ProjectPage | None]:
        """Return the page of every project, None where there is none; the first failure ends it."""
        with ThreadPoolExecutor(_AT_ONCE, "index") as pool:
            tasks = {pool.submit(self._at, name, index): name for name, index in asked.items()}
            try:
                for task in as_completed(tasks):
                    task.result()
            except _OverError as error:
                missing = {name for task, name in tasks.items() if not _is_answered(task)}
                late = {name: index for name, index in asked.items() if name in missing}
                raise index_errors.too_slow(late) from error
            finally:
                self.timer.end()
                pool.shutdown(cancel_futures=True)
        return {name: task.result() for task, name in tasks.items()}

    def _at(self, name: str, index: str) -> ProjectPage | None:
        if urlsplit(index).scheme == "file":
            return _local_page(name, index)
        cached = self.cache.read(name, index)
        conditions = cached.conditions if cached else {}
        answer, body = self._get(name, index, f"{index}/{name}/", conditions)
        if answer.status_code in _NOT_THERE:
            return None
        if answer.status_code == HTTPStatus.NOT_MODIFIED and cached:
            page = cached.page
        else:
            page = self._new_page(name, index, answer, body, cached)
        if cached and cached.page == page:
            self.unchanged.add(name)
        return page

    def _new_page(
        self, name: str, index: str, answer: httpx.Response, body: bytes, cached: CachedPage | None
    ) -> ProjectPage:
        stopped = http_client.refused_by_proxy(answer)
        if stopped:
            raise stopped
        if answer.status_code in REFUSED:
            raise index_errors.refused(name, index, _status(answer))
        if answer.status_code != HTTPStatus.OK:
            raise index_errors.unreadable(name, index, _status(answer))
        headers, url = answer.headers, str(answer.url)
        kind = headers.get("content-type", "")
        digest = hashlib.sha256(f"{kind} {url}\n".encode() + body).hexdigest()
        marks = headers.get("etag", ""), headers.get("last-modified", ""), digest
        if cached and (cached.etag, cached.modified, cached.digest) == marks:
            return cached.page  # of an index that knows no conditional requests
        page = _parsed(body, kind, url, name, index)
        self.cache.write(CachedPage(page, *marks))
        return page

    def page_of_archives(self, link: str, name: str) -> tuple[bytes, str, str]:
        """Return a page of archives: its content, its Content-Type, and its URL."""
        answer, body = self._get(name, link, link, {})
        if answer.status_code != HTTPStatus.OK:
            raise index_errors.unreadable(name, link, _status(answer))
        return body, answer.headers.get("content-type", ""), str(answer.url)

    def _get(
        self, name: str, index: str, url: str, conditions: dict[str, str]
    ) -> tuple[httpx.Response, bytes]:
        """Return the answer about a project; what can pass is tried again a few times."""
        for attempt in range(_ATTEMPTS):
            wanted: float | None = None
            try:
                answer, body = self._sent(url, conditions)
            except httpx.InvalidURL as error:
                raise index_errors.unreadable(name, index, str(error)) from error
            except httpx.HTTPError as error:
                stopped = http_client.refused(error, index)
                if stopped:
                    raise stopped from error
                cause = str(error) or type(error).__name__
            else:
                if not _passes(answer):
                    return answer, body
                cause, wanted = _status(answer), retry_after(answer.headers)
            if attempt + 1 == _ATTEMPTS or (wanted or 0.0) > _LONGEST_PAUSE:
                break
            self.timer.wait(pause(attempt) if wanted is None else wanted)
        raise index_errors.unreadable(name, index, cause)

    def _sent(self, url: str, conditions: dict[str, str]) -> tuple[httpx.Response, bytes]:
        if not self.timer.left:
            raise _OverError
        with self._lock:
            self.requests += 1
        with self.client.stream(
            *("GET", url),
            headers=conditions,
            timeout=min(_EACH, self.timer.left),
        ) as answer:
            parts = []
            for part in answer.iter_bytes():
                parts.append(part)
                if not self.timer.left:
                    raise _OverError
        with self._lock:
            self.received += answer.num_bytes_downloaded
        return answer, b"".join(parts)


def _is_answered(task: Future[ProjectPage | None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _passes(answer: httpx.Response) -> bool:
    """Tell whether what is wrong with an answer may pass by itself."""
    return answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS


def _status(answer: httpx.Response) -> str:
    after = retry_after(answer.headers)
    wait = f", it wants to be asked again after {after:.0f} s" if after else ""
    return f"HTTP status {answer.status_code} {answer.reason_phrase}".rstrip() + wait


def _parsed(body: bytes, content_type: str, url: str, name: str, index: str) -> ProjectPage:
    try:
        return parse_page(body, content_type, url, name, index)
    except ValueError as error:
        raise index_errors.nonsense(name, index, str(error)) from error


def _in_directory(path: Path, name: str) -> Iterator[IndexFile]:
    """Yield the files of a project in a directory of archives, or on a page on this disk."""
    try:
        if path.is_file():
            yield from parse_links(read_stored(path), "text/html", path.as_uri(), name)
            return
        for each in sorted(path.iterdir()):
            file = file_at(each.as_uri(), name)
            if file is not None:
                yield file
    except OSError as error:
        cause = os.strerror(error.errno or 0)
        raise index_errors.unreadable(name, path.as_uri(), cause) from error


def _local_page(name: str, index: str) -> ProjectPage | None:
    root = Path(unquote(urlsplit(index).path))
    path = root / name / "index.html"
    try:
        if root.is_dir() and not path.is_file():
            return None
        return _parsed(read_stored(path), "text/html", path.as_uri(), name, index)
    except OSError as error:
        raise index_errors.unreadable(name, index, os.strerror(error.errno or 0)) from error
