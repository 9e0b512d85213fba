"""Pages of projects on disk, each with what its index can be asked by whether it changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored

_SCHEMA = 1
_COLUMNS = tuple(each.name for each in fields(IndexFile))


@dataclass(frozen=True)
class CachedPage:
    """A page and its validators (RFC 9110, section 8.8).

    Attributes:
        etag, modified: the headers ETag and Last-Modified, or "".
    """

    page: ProjectPage
    etag: str
    modified: str

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
            content = json.loads(read_stored(self._path(name, index)))
            if content["of"] != [_SCHEMA, name, index]:
                return None
            files = tuple(_file(row) for row in content["files"])
            page = ProjectPage(name, index, files)
            return CachedPage(page, str(content["etag"]), str(content["modified"]))
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def write(self, cached: CachedPage) -> None:
        """Keep a page; one without validators is of no use later and is not kept.

        Raises:
            StorageError: it cannot be written.
        """
        page = cached.page
        path = self._path(page.name, page.index)
        if not cached.conditions:
            path.unlink(missing_ok=True)
            return
        content = {
            "of": [_SCHEMA, page.name, page.index],
            "etag": cached.etag,
            "modified": cached.modified,
            "files": [_row(each) for each in page.files],
        }
        write_atomically(path, json.dumps(content, separators=(",", ":")))

    def _path(self, name: str, index: str) -> Path:
        digest = hashlib.sha256(f"{index} {name}".encode()).hexdigest()
        return self._root / f"{digest}.json"


def _row(file: IndexFile) -> list[object]:
    values = [getattr(file, column) for column in _COLUMNS]
    return [each.isoformat() if isinstance(each, datetime) else each for each in values]


def _file(row: list[Any]) -> IndexFile:
    values = dict(zip(_COLUMNS, row, strict=True))
    if values["uploaded"]:
        values["uploaded"] = datetime.fromisoformat(values["uploaded"])
    return IndexFile(**values)
