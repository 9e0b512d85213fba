"""The page of a project, read from JSON (PEP 691, 700, 714) or HTML (PEP 503, 592, 658).

Some indexes tell in HTML too when a file was uploaded, as `data-upload-time`, which uv reads as
well.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.message import Message
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

from packaging.version import InvalidVersion, Version

from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.package.canonical import digest_of
from elt_env.package.names import normalize

ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
"""What to ask an index for, as pip does (PEP 691)."""

_JSON = ("application/vnd.pypi.simple.v1+json", "application/json")
_HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
_MOMENT = re.compile(
    r"(?P<seconds>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(?P<part>\d{1,9}))?(?:Z|\+00:00)?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LENGTH = len("2026-05-04T03:02:01.654321Z")
_SDIST_ENDS = (".tar.gz", ".zip")


def parse_page(body: bytes, content_type: str, url: str, name: str, index: str) -> ProjectPage:
    """Return the page of project `name`, read by its Content-Type.

    Files that no installer takes today, as eggs, are left out, and so is what belongs to another
    project. A file without an upload time in a known form has none.

    Args:
        body: all of the page.
        content_type: the header, parameters included.
        url: where the page was found; the URLs in it are relative to that.
        name: the project's normalized name.
        index: the URL of the index, without credentials.

    Raises:
        ValueError: it is no such page; the message says why, as in `it is cut off`.
    """
    header = Message()
    header["Content-Type"] = content_type
    kind = header.get_content_type() if content_type else ""
    if kind in _JSON:
        entries = _json_entries(body, name)
    elif kind in _HTML:
        charset = header.get_content_charset("utf-8")
        entries = _html_entries(_decoded(body, charset), url)
    else:
        raise ValueError(f"its Content-Type is '{content_type}', neither JSON nor HTML")
    found = [_file(each, url, name) for each in entries]
    files = tuple(each for each in found if each is not None)
    rest = [each for each, file in zip(entries, found, strict=True) if file is None]
    if not files and kind in _HTML:
        raise ValueError(f"it is an HTML page that lists no file of {name}")
    return ProjectPage(name, index, files, digest_of(rest) if rest else "")


def parse_links(body: bytes, content_type: str, url: str, name: str) -> tuple[IndexFile, ...]:
    """Return the files of project `name` on a page of archives of any projects.

    Args: as of `parse_page`.

    Raises:
        ValueError: it is no such page.
    """
    header = Message()
    header["Content-Type"] = content_type
    text = _decoded(body, header.get_content_charset("utf-8"))
    found = (_file(each, url, name) for each in _html_entries(text, url))
    return tuple(each for each in found if each is not None)


def file_at(url: str, name: str) -> IndexFile | None:
    """Return the file of project `name` that a URL without a page leads to; None for another."""
    return _file({"filename": unquote(url.rpartition("/")[2]), "url": url}, url, name)


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, errors="replace")
    except LookupError as error:
        raise ValueError(f"nobody knows its charset '{charset}'") from error


def _json_entries(body: bytes, name: str) -> list[dict[str, object]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not valid JSON, or cut off") from error
    if not isinstance(document, dict) or not isinstance(document.get("files"), list):
        raise ValueError("its JSON is not that of a project page")  # noqa: TRY004  # for the caller the page is what is wrong
    meta = document.get("meta")
    version = str(meta.get("api-version", "")) if isinstance(meta, dict) else ""
    if version.partition(".")[0] != "1":
        raise ValueError(f"its API version is '{version}', and only 1 is understood")
    if normalize(str(document.get("name", ""))) != name:
        raise ValueError(f"it is about '{document.get('name')}'")
    entries = [each for each in document["files"] if isinstance(each, dict)]
    if len(entries) < len(document["files"]):
        raise ValueError("its files are not all objects")
    return entries


def _html_entries(text: str, url: str) -> list[dict[str, object]]:
    """Return the anchors of an HTML page as JSON pages write files."""
    page = _Anchors()
    try:
        page.feed(text)
        page.close()
    except AssertionError as error:  # what the parser says of a bad declaration
        raise ValueError("it is not valid HTML") from error
    if page.unclosed:
        raise ValueError("it is cut off")
    base = urljoin(url, page.base) if page.base else ""
    return [_anchor_entry(each, base) for each in page.anchors]


class _Anchors(HTMLParser):
    """Collects the attributes of anchors, and sees whether the page ends."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[dict[str, str]] = []
        self.base = ""
        self.unclosed: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and found.get("href"):
            self.anchors.append(found)
        elif tag == "base":
            self.base = self.base or found.get("href", "")
        elif tag in ("html", "body"):
            self.unclosed.add(tag)

    def handle_endtag(self, tag: str) -> None:
        # The end tag of body may be left out where html ends (HTML, 13.1.2.4).
        self.unclosed -= {tag, "body"} if tag == "html" else {tag}


def _anchor_entry(marks: Mapping[str, str], base: str) -> dict[str, object]:
    url, yanked = marks["href"], marks.get("data-yanked")
    path = url.partition("#")[0].partition("?")[0]
    return {
        "filename": unquote(path.rpartition("/")[2]),
        "url": urljoin(base, url) if base else url,
        "requires-python": marks.get("data-requires-python"),
        "yanked": yanked or yanked is not None,
        "upload-time": marks.get("data-upload-time"),
        "core-metadata": marks.get("data-core-metadata", marks.get("data-dist-info-metadata")),
    }


def _joined(base: str, url: str) -> str | None:
    """Return the absolute form of a URL without login and fragment; None when it is none."""
    if url.startswith("https://") and "@" not in url:
        return url.partition("#")[0]  # most are like that, and a page can have thousands
    try:
        address = urlsplit(urljoin(base, url))
    except ValueError:  # brackets that are no IPv6 address
        return None
    host = address.netloc.rpartition("@")[2]
    return address._replace(netloc=host, fragment="").geturl()


def _file(entry: Mapping[str, object], page_url: str, name: str) -> IndexFile | None:
    file_name, url = entry.get("filename"), entry.get("url")
    if not isinstance(file_name, str) or not isinstance(url, str):
        raise ValueError("one of its files has no name or no URL")  # noqa: TRY004  # as above
    version = _version_in(file_name, name)
    absolute = _joined(page_url, url)
    if version is None or absolute is None:
        return None
    requires_python, size = entry.get("requires-python"), entry.get("size")
    metadata = entry.get("core-metadata", entry.get("dist-info-metadata"))
    return IndexFile(
        file_name=file_name,
        version=version,
        url=absolute,
        requires_python=requires_python if isinstance(requires_python, str) else None,
        yanked=_yanked(entry.get("yanked")),
        uploaded=_moment(entry.get("upload-time")),
        size=size if type(size) is int else None,
        has_metadata=bool(metadata),
        sha256=_sha256(entry.get("hashes"), url),
    )


def _sha256(hashes: object, url: str) -> str:
    """Return the digest that an entry has among its hashes, or else in the URL's fragment."""
    told = hashes.get("sha256") if isinstance(hashes, dict) else None
    fragment = url.rpartition("#")[2].removeprefix("sha256=") if "#sha256=" in url else ""
    found = told if isinstance(told, str) else fragment
    return found if _SHA256.fullmatch(found) else ""


def _yanked(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    return "" if value else None


def _version_in(file_name: str, name: str) -> str | None:
    """Return the version that the name of a wheel or an sdist of a project says, or None."""
    if file_name.endswith(".whl"):
        parts = file_name.split("-")
        project, version = (parts[0], parts[1]) if len(parts) in (5, 6) else ("", "")
    else:
        end = next((each for each in _SDIST_ENDS if file_name.endswith(each)), None)
        project, _, version = file_name.removesuffix(end).rpartition("-") if end else ("",) * 3
    return _normal(version) if project and _normalized(project) == name else None


_normalized = functools.lru_cache(maxsize=4096)(normalize)


@functools.lru_cache(maxsize=4096)
def _normal(version: str) -> str | None:
    try:
        return str(Version(version))
    except InvalidVersion:
        return None


def _moment(value: object) -> datetime | None:
    """Return the moment that an upload time names (PEP 700: UTC, at most microseconds)."""
    if not isinstance(value, str):
        return None
    try:
        if len(value) == _LENGTH and value[-1] == "Z":  # most are like that
            return datetime.fromisoformat(f"{value[:-1]}+00:00")
        found = _MOMENT.fullmatch(value)
        if found is None:
            return None
        moment = datetime.fromisoformat(found["seconds"])
    except ValueError:
        return None
    part = timedelta(microseconds=int((found["part"] or "0").ljust(6, "0")[:6]))
    return moment.replace(tzinfo=timezone.utc) + part
