"""A package index on 127.0.0.1 whose content and faults a test can change."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from email.parser import HeaderParser
from pathlib import Path
from typing import Literal

from tests.support.loopback import (
    NONSENSE,
    NOT_FOUND,
    SERVER_ERROR,
    LoopbackServer,
    Reply,
    corrupted,
    dead_url,
)

__all__ = ["Fault", "IndexServer", "dead_url"]

Fault = Literal[
    "500",
    "html-nonsense",
    "half-page",
    "half-body",
    "other-json",
    "other-project",
    "slow",
    "no-upload-times",
    "html-only",
    "corrupt-files",
    "refuse-auth",
]

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "text/html"
_BROKEN = {"500": SERVER_ERROR, "html-nonsense": NONSENSE}
_LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class _File:
    """A file of the index; `metadata` is its core metadata."""

    name: str
    data: bytes
    metadata: str
    uploaded: datetime
    yanked: str | None

    @property
    def project(self) -> str:
        return _normalized(_header(self.metadata, "Name") or "")

    @property
    def version(self) -> str:
        return _header(self.metadata, "Version") or ""

    @property
    def requires_python(self) -> str | None:
        return _header(self.metadata, "Requires-Python")

    @property
    def url(self) -> str:
        return f"/files/{self.name}"


class IndexServer(LoopbackServer):
    """An index with HTML (PEP 503) and JSON (PEP 691, 700) pages.

    Attributes:
        fault: what is wrong with the index at the moment. `500`, `html-nonsense`, `slow` and
            `refuse-auth` concern every path; `half-page` the project pages, of which the rest is
            announced and does not come, and `half-body`, where it is not announced either;
            `corrupt-files` the files, which stay readable but get another hash.
        project_faults: what is wrong with the pages of single projects, by name.
        stumbles: what the next requests get in place of their answer, in turn.
        undated: names of files whose upload time is not told.
        validators: whether pages have an ETag, by which a client can ask whether they changed.
        max_age: seconds for which a client may take a page from its cache, 0 where none is told.
        patience: seconds that the fault `slow` lets a client wait for each answer.
        credentials: the user name and password that the fault `refuse-auth` lets in.
        core_metadata: whether the metadata of wheels is served beside them (PEP 658).
    """

    def __init__(self) -> None:
        super().__init__()
        self.patience = 30.0
        self.credentials = ("reader", "open-sesame")
        self.core_metadata = False
        self.undated: set[str] = set()
        self.validators = False
        self.max_age = 0
        self.project_faults: dict[str, Fault] = {}
        self.stumbles: list[Reply] = []
        self._fault: Fault | None = None
        self._files: dict[str, _File] = {}

    @property
    def url(self) -> str:
        """The simple API's URL, without a slash at the end."""
        return f"{self.base_url}/simple"

    @property
    def url_with_credentials(self) -> str:
        """The URL as a person writes it who has a password."""
        return self.url.replace("://", f"://{':'.join(self.credentials)}@")

    @property
    def fault(self) -> Fault | None:
        """What is wrong with the index at the moment."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        self.hang = self.patience if fault == "slow" else 0.0

    def add(self, file: Path, *, uploaded: datetime = _LONG_AGO, yanked: str | None = None) -> None:
        """Offer a wheel or an sdist; `yanked` is the reason why nobody should take it."""
        data = file.read_bytes()
        self._files[file.name] = _File(file.name, data, _read_metadata(file), uploaded, yanked)

    def yank(self, file: Path, reason: str = "broken") -> None:
        """Mark a file as one that only an exact pin gets (PEP 592)."""
        self._files[file.name] = replace(self._files[file.name], yanked=reason)

    def remove(self, file: Path) -> None:
        """Offer a file no longer."""
        del self._files[file.name]

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Return a page or a file, or what the fault makes of it."""
        with self._lock:
            stumble = self.stumbles.pop(0) if self.stumbles else None
        return stumble or self._broken(headers) or self._found(path, headers)

    def _broken(self, headers: Mapping[str, str]) -> Reply | None:
        """Return what a fault that concerns every path makes of any answer."""
        if self.fault == "refuse-auth" and headers.get("authorization") != self._login():
            challenge = {"WWW-Authenticate": 'Basic realm="index"'}
            return Reply(401, b"log in first\n", "text/plain", challenge)
        return _BROKEN.get(self.fault or "")

    def _found(self, path: str, headers: Mapping[str, str]) -> Reply:
        parts = path.strip("/").split("/")
        if parts[0] == "files" and len(parts) == 2:
            return self._file(parts[1])
        if parts[0] == "simple" and len(parts) <= 2:
            return self._simple(parts[1:], headers)
        return NOT_FOUND

    def _simple(self, project: list[str], headers: Mapping[str, str]) -> Reply:
        """Return the list of projects or a project's page, or what a fault makes of it."""
        own = self.project_faults.get("".join(project))
        if own == "slow":
            self._closing.wait(self.patience)
        fault = own or self.fault
        if own in _BROKEN:
            return _BROKEN[own]
        if fault == "other-json":
            return Reply(body=b'{"info": {"name": "it"}, "releases": {}}', content_type=_JSON)
        wants_json = _JSON in headers.get("accept", "") and fault != "html-only"
        page = self._page(project, as_json=wants_json)
        if fault == "other-project":
            return replace(page, body=page.body.replace(b'"name": "', b'"name": "not-', 1))
        if fault == "half-body":
            return replace(page, body=page.body[: len(page.body) // 2])
        page = replace(page, cut=fault == "half-page")
        if page.status == 200 and self.max_age:
            page = replace(page, headers={"Cache-Control": f"max-age={self.max_age}"})
        return _unless_known(page, headers) if self.validators and page.status == 200 else page

    def _login(self) -> str:
        return "Basic " + base64.b64encode(":".join(self.credentials).encode()).decode()

    def _file(self, name: str) -> Reply:
        wheel = name.removesuffix(".metadata")
        file = self._files.get(wheel)
        if file is None:
            return NOT_FOUND
        if wheel != name:
            return Reply(body=file.metadata.encode()) if self.core_metadata else NOT_FOUND
        return Reply(body=corrupted(file.data) if self.fault == "corrupt-files" else file.data)

    def _page(self, project: list[str], *, as_json: bool) -> Reply:
        if not project:
            names = sorted({each.project for each in self._files.values()})
            return _project_list(names, as_json=as_json)
        files = [each for each in self._files.values() if each.project == project[0]]
        if not files:
            return NOT_FOUND
        if not as_json:
            return _html_page([self._anchor(each) for each in files])
        page = {
            "meta": {"api-version": "1.1"},
            "name": project[0],
            "versions": sorted({each.version for each in files}),
            "files": [self._entry(each) for each in files],
        }
        return Reply(body=json.dumps(page).encode(), content_type=_JSON)

    def _entry(self, file: _File) -> dict[str, object]:
        """Return a file as a JSON page lists it (PEP 691, 700)."""
        entry: dict[str, object] = {
            "filename": file.name,
            "url": file.url,
            "hashes": {"sha256": _sha256(file.data)},
            "size": len(file.data),
            "yanked": file.yanked if file.yanked is not None else False,
        }
        if file.requires_python:
            entry["requires-python"] = file.requires_python
        fault = self.project_faults.get(file.project, self.fault)
        if fault != "no-upload-times" and file.name not in self.undated:
            moment = file.uploaded.astimezone(timezone.utc)
            entry["upload-time"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if self.core_metadata:
            entry["core-metadata"] = {"sha256": _sha256(file.metadata.encode())}
        return entry

    def _anchor(self, file: _File) -> str:
        """Return a file as an HTML page lists it (PEP 503, 592, 658)."""
        marks = {"href": f"{file.url}#sha256={_sha256(file.data)}"}
        if file.requires_python:
            marks["data-requires-python"] = file.requires_python
        if file.yanked is not None:
            marks["data-yanked"] = file.yanked
        if self.core_metadata:
            marks["data-core-metadata"] = f"sha256={_sha256(file.metadata.encode())}"
        written = " ".join(f'{name}="{html.escape(value)}"' for name, value in marks.items())
        return f"<a {written}>{file.name}</a>"


def _unless_known(page: Reply, headers: Mapping[str, str]) -> Reply:
    """Return a page with its ETag, or 304 without it for who has it (RFC 9110, 13.1.2)."""
    etag = {"ETag": f'"{_sha256(page.body)[:16]}"'}
    if headers.get("if-none-match") == etag["ETag"]:
        return Reply(304, headers={**page.headers, **etag})
    return replace(page, headers={**page.headers, **etag})


def _project_list(names: list[str], *, as_json: bool) -> Reply:
    if not as_json:
        return _html_page([f'<a href="/simple/{name}/">{name}</a>' for name in names])
    page = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
    return Reply(body=json.dumps(page).encode(), content_type=_JSON)


def _html_page(anchors: list[str]) -> Reply:
    lines = ["<!DOCTYPE html>", "<html><body>", *(f"{each}<br>" for each in anchors)]
    return Reply(body="\n".join([*lines, "</body></html>\n"]).encode(), content_type=_HTML)


def _read_metadata(file: Path) -> str:
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            found = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
            return wheel.read(found).decode()
    with tarfile.open(file) as sdist:
        content = sdist.extractfile(f"{file.name.removesuffix('.tar.gz')}/PKG-INFO")
        if content is None:
            raise ValueError(f"{file.name} has no PKG-INFO")
        return content.read().decode()


def _header(metadata: str, name: str) -> str | None:
    value = HeaderParser().parsestr(metadata).get(name)
    return None if value is None else str(value)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
