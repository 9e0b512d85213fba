"""The record of a release as a document, with the digest of all that it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from pydantic import TypeAdapter

from elt_env.package.canonical import digest_of
from elt_env.release.record import Release
from elt_env.store.documents import Documents

RECORDS = "releases/.records"
NUMBER = re.compile(r"[0-9]{6,}")
release_type: TypeAdapter[Release] = TypeAdapter(Release)


def record_key(name: str, number: int) -> str:
    """Return the key of the record of a target's release."""
    return f"{RECORDS}/{name}/{number:06}.json"


def record_names_of(documents: Documents, name: str) -> list[int]:
    """Return the numbers of the releases of a target that there are records of."""
    return numbers(documents.names(f"{RECORDS}/{name}"))


def numbers(names: Iterable[str]) -> list[int]:
    """Return the numbers that are names, or names of records."""
    plain = (each.removesuffix(".json") for each in names)
    return [int(each) for each in plain if NUMBER.fullmatch(each)]


def unused_fields(release: Release) -> set[str]:
    """Return what a record leaves out: what no release had when the first ones were written."""
    return {each for each in ("rollout", "repository") if not getattr(release, each)}


def with_checksum(release: Release) -> bytes:
    """Return the record of a release, and the digest of all else in it."""
    content = release_type.dump_python(release, mode="json", exclude=unused_fields(release))
    return json.dumps(content | {"checksum": digest_of(content)}, indent=1).encode() + b"\n"


def checked(text: bytes) -> Release:
    """Return a release from its record; ValueError where that was changed after it was written."""
    content = json.loads(text)
    stated = content.pop("checksum")
    if stated != digest_of(content):
        raise ValueError(stated)
    return release_type.validate_python(content)
