"""The first member of a bundle, `bundle.json`, which lists all others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.package.canonical import digest_of
from elt_env.runtime.limits import MOST_ARCHIVE_BYTES, load_json

FORMAT = 1
"""Version of what a bundle holds; a change of meaning raises it."""

FILE_NAME = "bundle.json"
REMEDY = "Copy the bundle again, or make a new one: elt-env bundle TARGET -o FILE"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """A member of a bundle.

    Attributes:
        name: its path, with `/`.
        size: in bytes.
        sha256: hex digest of its content.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listing:
    """What a bundle holds.

    Attributes:
        spec: the path of the environment's spec below the project.
        entries: the members behind this one, in their order.
    """

    spec: str
    entries: tuple[Entry, ...]
    format: int = FORMAT


_adapter: TypeAdapter[Listing] = TypeAdapter(Listing)


def render(listing: Listing) -> bytes:
    """Return the content of the member; its checksum is the digest of all else in it."""
    content: dict[str, object] = _adapter.dump_python(listing, mode="json")
    content["checksum"] = digest_of(content)
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def parse(text: bytes, source: str) -> Listing:
    """Return what the member of a bundle lists; `source` names the bundle.

    Raises:
        IntegrityError: it is of another format, was changed, or lists what no bundle holds.
    """
    try:
        content = load_json(text)
    except ValueError as error:
        raise IntegrityError(f"The list in {source} is not JSON: {error}.", REMEDY) from error
    if not isinstance(content, dict):
        raise IntegrityError(f"The list in {source} holds no object.", REMEDY)
    _check(content, source)
    try:
        listing = _adapter.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        problem = f"The list in {source} cannot be used: {where}: {first['msg']}."
        raise IntegrityError(problem, REMEDY) from error
    _require_usable(listing, source)
    return listing


def is_below(path: str) -> bool:
    """Tell whether a path stays below where it starts."""
    bad = {"", ".", ".."} & set(path.split("/"))
    return path.isprintable() and "\\" not in path and not bad


def _check(content: Mapping[str, Any], source: str) -> None:
    found = content.get("format")
    if found != FORMAT:
        raise IntegrityError(
            f"{source} has format {found!r}; this version reads {FORMAT}.",
            "Make it with this version of elt-env, or install the version that made it here.",
        )
    rest = {key: value for key, value in content.items() if key != "checksum"}
    try:
        same = content.get("checksum") == digest_of(rest)
    except UnicodeEncodeError:  # half of a surrogate pair
        same = False
    if not same:
        raise IntegrityError(f"The list in {source} is not what its checksum says.", REMEDY)


def _require_usable(listing: Listing, source: str) -> None:
    names = [each.name for each in listing.entries]
    wrong = [f"the name {each.name!r}" for each in listing.entries if not is_below(each.name)]
    wrong += [f"{each!r} twice" for each in sorted(set(names)) if names.count(each) > 1]
    wrong += [
        f"a size or a sha256 of {each.name!r} that no file has"
        for each in listing.entries
        if not 0 <= each.size <= MOST_ARCHIVE_BYTES or not _SHA256.fullmatch(each.sha256)
    ]
    if wrong:
        raise IntegrityError(f"{source} lists {', '.join(wrong[:10])}.", REMEDY)
