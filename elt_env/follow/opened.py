"""The open waves of a release, as its store tells them to the machines that follow it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from elt_env.release.record import Release
from elt_env.store.documents import Documents, read_record, record_bytes


@dataclass(frozen=True)
class Opened:
    """How far a release is.

    Attributes:
        number: of the release.
        wave: the last wave that is open, from 0; as many as there are when all is done.
    """

    number: int
    wave: int


_opened: TypeAdapter[Opened] = TypeAdapter(Opened)


def open_wave(release: Release, documents: Documents) -> int:
    """Return the last wave of a release that is open; the first one is from the start.

    Raises:
        IntegrityError: it cannot be read.
    """
    return _wave(_read(release.target, documents), release)


def open_next(release: Release, wave: int, documents: Documents) -> bool:
    """Open the wave after one, unless another one has just done that; return whether it did.

    Raises:
        IntegrityError: what is open cannot be read.
        StorageError: the store cannot be written.
    """
    found = _read(release.target, documents)
    if _wave(found, release) != wave:
        return False
    old = record_bytes(_opened, found) if found else None
    new = record_bytes(_opened, Opened(release.number, wave + 1))
    return documents.swap(_key(release.target), old, new)


def _wave(found: Opened | None, release: Release) -> int:
    return found.wave if found and found.number == release.number else 0


def _read(name: str, documents: Documents) -> Opened | None:
    problem = "{}, which says what wave of a release is open, cannot be read."
    remedy = "Remove it: the first wave is open then."
    return read_record(documents, _key(name), _opened, problem, remedy)


def _key(name: str) -> str:
    return f"rollouts/{name}.json"
