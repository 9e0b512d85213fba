"""What uv writes and reads: pins, annotated requirements, and the files of a pylock.toml."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.pylock import Package as LockedPackage

from elt_env.errors import NoWheelError
from elt_env.model.lock import Package
from elt_env.model.names import normalize
from elt_env.tools.indexes import parse_index
from elt_env.tools.pip.port import Resolved
from elt_env.tools.pip.wheels import best_wheel

_PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(?P<version>\S+)", re.IGNORECASE)
_VIA = re.compile(r"    # (?:via|  ) ?(?P<what>\S.*)")
_FROM = re.compile(r"    # from (?P<index>\S+)")
_ASKED = "-r requirements.in"


def pin_lines(pins: Iterable[tuple[str, str]]) -> str:
    """Return (name, version) pairs as lines of a requirements or constraints file."""
    return "".join(f"{name}=={version}\n" for name, version in pins)


def read_annotated(text: str) -> tuple[Resolved, ...]:
    """Return the answer that `uv pip compile` wrote with split annotations and index lines."""
    found: list[Resolved] = []
    needed_by: list[str] = []
    pin: re.Match[str] | None = None
    for line in text.splitlines():
        start = _PIN.match(line)
        if start:
            pin, needed_by = start, []
            continue
        index = _FROM.fullmatch(line)
        via = _VIA.fullmatch(line)
        if index and pin:
            found.append(_resolved(pin, needed_by, index["index"]))
        elif via:
            needed_by.append(via["what"].strip())
    return tuple(sorted(found, key=lambda each: each.name))


def _resolved(pin: re.Match[str], needed_by: list[str], index: str) -> Resolved:
    names = {normalize(each.split("[")[0]) for each in needed_by if not each.startswith("-")}
    return Resolved(
        name=normalize(pin["name"]),
        version=pin["version"],
        index=parse_index(index).url,
        requested=_ASKED in needed_by,
        required_by=tuple(sorted(names)),
    )


def locked_file(package: LockedPackage, resolved: Resolved, python: str) -> Package:
    """Return the one file of a distribution that fits CPython `python` on this machine best.

    Raises:
        NoWheelError: the index gives no file with a sha256.
    """
    file = best_wheel(package.wheels or (), python) or package.sdist
    if file is None or file.url is None or "sha256" not in file.hashes:
        raise NoWheelError(
            f"The index gives no file with a sha256 for {resolved.name} {resolved.version}.",
            "Use an index that gives hashes.",
        )
    return Package(
        manager="pip",
        name=resolved.name,
        version=resolved.version,
        url=file.url,
        sha256=file.hashes["sha256"],
        size=file.size,
        released_at=file.upload_time,
        requested=resolved.requested,
        required_by=resolved.required_by,
        index=resolved.index,
    )
