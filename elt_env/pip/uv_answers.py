"""Write and read uv's files: pins and annotated requirements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import unquote

from packaging.utils import parse_wheel_filename

from elt_env.machine.indexes import parse_index
from elt_env.package.names import normalize
from elt_env.pip.port import Resolved, Shelf

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>\S+)", re.IGNORECASE)
_FILE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])? @ (?P<url>file:\S+)")
_VIA = re.compile(r"    # (?:via|  ) ?(?P<what>\S.*)")
_FROM = re.compile(r"    # from (?P<index>\S+)")
_ASKED = "-r requirements.in"
DIARY = "DEBUG "
"""How lines begin that tell what uv asks for, with `TELLING_PAGES`."""
TELLING_PAGES = {"RUST_LOG": "uv_client::cached_client=debug"}
"""The variable by which uv tells on stderr which pages and files it asks for, or has."""
_LOOKED_UP = re.compile(
    r"(?:Found (?P<how>\S+) response|No cache entry) for: (?P<index>\S+)/(?P<name>[^/\s]+)/"
)


def pin_lines(pins: Iterable[tuple[str, str]]) -> str:
    """Return (name, version) pairs as lines of a requirements or constraints file."""
    return "".join(f"{name}=={version}\n" for name, version in pins)


def read_annotated(text: str, shelf: Shelf | None = None) -> tuple[Resolved, ...]:
    """Return the answer that `uv pip compile` wrote with split annotations and index lines."""
    beside = frozenset(shelf.beside) if shelf else frozenset()
    found: list[Resolved] = []
    for head, comments in _entries(text):
        index = next((each["index"] for line in comments if (each := _FROM.fullmatch(line))), None)
        vias = [each["what"].strip() for line in comments if (each := _VIA.fullmatch(line))]
        pin, file = _PIN.match(head), _FILE.match(head)
        if pin and index:
            one = _resolved(pin["name"], pin["version"], vias, parse_index(index).url)
            only = shelf is not None and shelf.versions(one.name) is not None
            mark = only or (one.name, one.version) in beside
            found.append(replace(one, on_shelf=mark))
        elif file:
            version = parse_wheel_filename(unquote(file["url"].rpartition("/")[2]))[1]
            found.append(_resolved(file["name"], str(version), vias, ""))
    return tuple(sorted(found, key=lambda each: each.name))


def told_pages(stderr: str) -> tuple[dict[tuple[str, str], bool], str]:
    """Return the pages that uv tells it looked up, and what else it says.

    Pages are (index, name), with whether uv asked the index, rather than taking what it has.
    """
    lines = stderr.splitlines(keepends=True)
    diary = [each.removeprefix(DIARY).rstrip() for each in lines if each.startswith(DIARY)]
    pages: dict[tuple[str, str], bool] = {}
    for each in filter(None, map(_LOOKED_UP.fullmatch, diary)):
        page = parse_index(each["index"]).url, normalize(each["name"])
        pages[page] = pages.get(page, False) or each["how"] != "fresh"
    return pages, "".join(each for each in lines if not each.startswith(DIARY))


def _entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each requirement with the comments below it."""
    head, comments = "", list[str]()
    for line in text.splitlines():
        if line.startswith("    "):
            comments.append(line)
        elif line:
            yield head, comments
            head, comments = line, []
    yield head, comments


def _resolved(name: str, version: str, needed_by: list[str], index: str) -> Resolved:
    names = {normalize(each.split("[")[0]) for each in needed_by if not each.startswith("-")}
    return Resolved(
        name=normalize(name),
        version=version,
        index=index,
        requested=_ASKED in needed_by,
        required_by=tuple(sorted(names)),
    )
