"""Write and read uv's files: pins, annotated requirements, and a pylock.toml."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package as LockedPackage
from packaging.pylock import PackageSdist, PackageWheel
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from elt_env.errors import NoWheelError
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import parse_index
from elt_env.package.names import normalize
from elt_env.pip.port import Resolved, Shelf
from elt_env.python.wheel_tags import wheel_tags

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>\S+)", re.IGNORECASE)
_FILE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])? @ (?P<url>file:\S+)")
_VIA = re.compile(r"    # (?:via|  ) ?(?P<what>\S.*)")
_FROM = re.compile(r"    # from (?P<index>\S+)")
_ASKED = "-r requirements.in"


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


def locked_file(
    package: LockedPackage, resolved: Resolved, python: str, hashes: Collection[str] = ()
) -> Package:
    """Return the one file of a distribution that fits CPython `python` on this machine best.

    The sha256 of a file that no index has is "" where the page of its archives tells none.

    Args:
        package: its files, as uv lists them.
        resolved: what is locked.
        python: a full version.
        hashes: the sha256 digests of which the file must have one; none means any.

    Raises:
        NoWheelError: the index gives no file with a sha256, or none of these.
    """
    wheels = [each for each in package.wheels or () if _is_among(each, hashes)]
    sdist = package.sdist if package.sdist and _is_among(package.sdist, hashes) else None
    file = _best_wheel(wheels, python) or sdist
    if file is None and hashes:
        raise _other_hashes(package, resolved, python)
    if file is None or file.url is None or ("sha256" not in file.hashes and resolved.index):
        raise NoWheelError(
            f"The index gives no file with a sha256 for {resolved.name} {resolved.version}.",
            "Use an index that gives hashes.",
        )
    return Package(
        manager="pip",
        name=resolved.name,
        version=resolved.version,
        url=file.url,
        sha256=file.hashes.get("sha256", ""),
        size=file.size,
        released_at=file.upload_time,
        requested=resolved.requested,
        required_by=resolved.required_by,
        index=resolved.index or None,
    )


def _is_among(file: PackageWheel | PackageSdist, hashes: Collection[str]) -> bool:
    return not hashes or file.hashes.get("sha256") in hashes


def _other_hashes(package: LockedPackage, resolved: Resolved, python: str) -> NoWheelError:
    file = _best_wheel(package.wheels or (), python) or package.sdist
    found = file.hashes.get("sha256") if file else None
    remedy = "Name a version whose file has the hash that you trust, or take '--hash' out."
    if found:
        remedy = f"If that file is to be trusted, write: --hash=sha256:{found}"
    return NoWheelError(
        f"No file of {resolved.name} {resolved.version} that fits here has a hash that its "
        "requirement names with '--hash'.",
        remedy,
    )


def _best_wheel(wheels: Sequence[PackageWheel], python: str) -> PackageWheel | None:
    """Return the wheel that fits CPython `python` (`3.11.7`) on this machine best, or None.

    The order is the one of PEP 425, as in pip: the most specific tag first, then the highest
    build number. uv lists all that fit by file name.
    """
    order = {tag: place for place, tag in enumerate(wheel_tags(python))}
    ranked = [(_rank(each, order), each) for each in wheels]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def _rank(wheel: PackageWheel, order: dict[Tag, int]) -> tuple[int, int]:
    name = unquote(urlsplit(wheel.url or "").path.rpartition("/")[2])
    _, _, build, tags = parse_wheel_filename(name)
    place = min(order.get(tag, len(order)) for tag in tags)
    return place, -build[0] if build else 0
