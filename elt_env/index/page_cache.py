"""Pages of projects on disk, each with what tells whether it changed."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

from elt_env.index.project_page import IndexFile, KeptFiles, ProjectPage
from elt_env.package.cooldown import is_too_young
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored

_SCHEMA = 3
_MARKS = ("etag", "modified", "digest")
_COLUMNS = tuple(each.name for each in fields(IndexFile))
_NO_HASH = b',""]\n'  # a row's end: its sha256


@dataclass(frozen=True)
class CachedPage:
    """A page and its validators (RFC 9110, section 8.8).

    Attributes:
        etag, modified: the headers ETag and Last-Modified, or "".
        digest: of the answer that the page was read from.
    """

    page: ProjectPage
    etag: str
    modified: str
    digest: str

    @property
    def conditions(self) -> dict[str, str]:
        """The headers of a request that is answered with 304 while the page is the same."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}


class PageCache:
    """A directory of pages; any of its files may be removed at any time.

    Args:
        root: the directory; made when needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str, index: str) -> CachedPage | None:
        """Return the page of a project on an index; None when there is none that can be read."""
        try:
            head, _, rest = read_stored(self._path(name, index)).partition(b"\n")
            content = json.loads(head)
            latest, others = content["latest"], content["others"]
            if content["of"] != [_SCHEMA, name, index, _sum_of(rest, latest, others)]:
                return None
            files = KeptFiles(rest, _file, datetime.fromisoformat(latest) if latest else None)
            page = ProjectPage(name, index, files, others)
            return CachedPage(page, *(str(content[each]) for each in _MARKS))
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def write(self, cached: CachedPage) -> None:
        """Keep a page.

        Raises:
            StorageError: it cannot be written.
        """
        page = cached.page
        path = self._path(page.name, page.index)
        rest = _text(page.files)
        moments = [each.uploaded for each in page.files if each.uploaded]
        latest = max(moments).isoformat() if moments else ""
        head = {
            "of": [_SCHEMA, page.name, page.index, _sum_of(rest, latest, page.others)],
            "latest": latest,
            "others": page.others,
        } | {each: getattr(cached, each) for each in _MARKS}
        write_atomically(path, json.dumps(head).encode() + b"\n" + rest)

    def _path(self, name: str, index: str) -> Path:
        digest = hashlib.sha256(f"{index} {name}".encode()).hexdigest()
        return self._root / f"{digest}.json"


def visible(page: ProjectPage, limit: datetime | None) -> str | None:
    """Return a digest of what a resolver sees of a page under a cool-down's cut-off.

    None where a file could be another one and the page the same: it has no hash.
    """
    files = page.files
    if not isinstance(files, KeptFiles) or (limit and files.latest and files.latest >= limit):
        text = _text(
            each
            for each in files
            if not (limit and each.uploaded and is_too_young(each.uploaded, limit))
        )
    else:
        text = files.text
    digest = hashlib.sha256(page.others.encode() + b"\n" + text).hexdigest()
    return None if _NO_HASH in text else digest


def _sum_of(text: bytes, latest: str, others: str) -> int:
    return zlib.crc32(text, zlib.crc32(f"{latest} {others}".encode()))


def _text(files: Iterable[IndexFile]) -> bytes:
    return "".join(f"{each.version}\t{_row(each)}\n" for each in files).encode()


def _row(file: IndexFile) -> str:
    values = [getattr(file, column) for column in _COLUMNS]
    row = [each.isoformat() if isinstance(each, datetime) else each for each in values]
    return json.dumps(row, separators=(",", ":"))


def _file(row: bytes) -> IndexFile:
    values = dict(zip(_COLUMNS, json.loads(row), strict=True))
    if values["uploaded"]:
        values["uploaded"] = datetime.fromisoformat(values["uploaded"])
    return IndexFile(**values)
