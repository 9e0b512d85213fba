"""Copy a store, from a directory to a bucket or back: what every machine has to know, no more.

What is named by a digest comes first and pointers last, so that who looks at the copy meanwhile
finds no pointer to nothing. Each document is read back; one that is the same already is not
written, so a copy that was interrupted goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from elt_env.errors import InputError, IntegrityError, PolicyError
from elt_env.machine.process import Say
from elt_env.release.record import Release
from elt_env.release.record_file import record_key, with_checksum
from elt_env.release.store import ReleaseStore
from elt_env.store.documents import Documents
from elt_env.store.locks import Store

_OWNER, _LOCKS, _TARGETS = "project.json", "locks", "targets"
_FOLDERS = ("diffs", "evidence", "plugins", "readiness", "unlisted")
_IMAGE = re.compile(r"[0-9a-f]{64}\.json")
_LOG = re.compile(r"logs/[0-9a-f]+/[\w.-]+\.log")
_AT_ONCE = 16  # requests
_AGAIN = "Run the same command again: it goes on where it was."


@dataclass(frozen=True)
class Copied:
    """How many documents, and locks, were written, and how many were there already."""

    written: int
    there: int


def copy_store(source: Store, target: Store, say: Say, *, limit: float) -> Copied:
    """Copy the documents of a store into another one, which is empty, or an earlier copy of it.

    Nobody moves a release of either meanwhile; for those who do, one waits `limit` seconds.

    Raises:
        InputError: there is no store to copy, or both are one.
        PolicyError: the other one is another project's, or has releases of its own.
        IntegrityError: a document cannot be read, or is not what was written.
        StorageError, BusyError: the same call goes on where it was.
    """
    releases, others = ReleaseStore(source), ReleaseStore(target)
    names = releases.targets()
    with contextlib.ExitStack() as moves:
        _require_copyable(source, target)
        for name in names:
            moves.enter_context(releases.sole_mover(name, limit))
            moves.enter_context(others.sole_mover(name, limit))
        histories = {each: found for each in names if (found := releases.history(each))}
        for name, history in histories.items():
            with contextlib.suppress(IntegrityError):  # a copy that was interrupted has no pointer
                _require_earlier(others.current(name), history, target)
        copier = _Copier(source.documents, target.documents, say)
        copier.copy_folders(_LOCKS)
        for folder in _FOLDERS:
            copier.copy(folder, _keys(source.documents, folder))
        copier.copy("images", _images(source.documents))
        copier.copy("logs of checks", _logs(source.documents))
        for name, history in histories.items():
            copier.write(f"releases of {name}", _records(history))
            others.adopt(history)
        copier.copy("pointers", [*_keys(source.documents, _TARGETS), *_owner(source.documents)])
    return Copied(copier.written, copier.there)


class _Copier:
    """Writes what is not there, reads it back, and counts."""

    def __init__(self, source: Documents, target: Documents, say: Say) -> None:
        self._source, self._target, self._say = source, target, say
        self.written = self.there = 0

    def copy(self, what: str, keys: Iterable[str]) -> None:
        """Copy documents."""
        listed = list(keys)
        self._each(what, listed, lambda key: self._put(key, _content(self._source, key)))

    def write(self, what: str, contents: Mapping[str, bytes]) -> None:
        """Write documents that may lie elsewhere there."""
        self._each(what, list(contents), lambda key: self._put(key, contents[key]))

    def copy_folders(self, folder: str) -> None:
        """Copy the folders in a folder, each as a whole."""
        names = [f"{folder}/{each}" for each in self._source.names(folder)]
        self._each(folder, names, self._put_folder)

    def _each(self, what: str, keys: Sequence[str], put: Callable[[str], bool]) -> None:
        if keys:
            self._say(f"copy: {what}, {len(keys)}")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for written in pool.map(put, keys):
                self.written += written
                self.there += not written

    def _put(self, key: str, content: bytes) -> bool:
        """Write a document unless it is there; return whether it was written."""
        if _found(self._target, key) == content:
            return False
        self._target.write(key, content)
        if _found(self._target, key) != content:
            raise _unlike(self._target.place(key))
        return True

    def _put_folder(self, folder: str) -> bool:
        files = _files(self._source, folder)
        if _files(self._target, folder) == files:
            return False
        self._target.write_folder(folder, files)
        if _files(self._target, folder) != files:
            raise _unlike(self._target.place(folder))
        return True


def _files(documents: Documents, name: str) -> dict[str, bytes]:
    """Return the documents of a folder by name, the manifest last, as it is written."""
    folder = documents.folder(name)
    names = sorted(documents.names(name), key=lambda each: (each == "lock.json", each))
    try:
        return {each: folder.read(each) for each in names}
    except OSError as error:
        raise _unreadable(documents.place(name)) from error


def _content(documents: Documents, key: str) -> bytes:
    try:
        return documents.read(key)
    except OSError as error:
        raise _unreadable(documents.place(key)) from error


def _found(documents: Documents, key: str) -> bytes | None:
    with contextlib.suppress(OSError):
        return documents.read(key)
    return None


def _keys(documents: Documents, folder: str) -> Iterator[str]:
    """Yield the keys of the records in a folder and those in it."""
    for each in documents.names(folder):
        key = f"{folder}/{each}"
        if each.endswith(".json"):
            yield key
        else:
            yield from _keys(documents, key)


def _images(documents: Documents) -> Iterator[str]:
    return (f"images/{each}" for each in documents.names("images") if _IMAGE.fullmatch(each))


def _logs(documents: Documents) -> Iterator[str]:
    """Yield the logs that records of evidence name, as far as they are there."""
    for key in _keys(documents, "evidence"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            log = str(json.loads(_content(documents, key))["log"])
            if _LOG.fullmatch(log) and _found(documents, log) is not None:
                yield log


def _owner(documents: Documents) -> Iterator[str]:
    if _found(documents, _OWNER) is not None:
        yield _OWNER


def _records(history: Sequence[Release]) -> dict[str, bytes]:
    return {record_key(each.target, each.number): with_checksum(each) for each in history}


def _require_copyable(source: Store, target: Store) -> None:
    here, there = source.documents.place(""), target.documents.place("")
    if here == there:
        raise InputError(f"{here} is one store.", "Name another one to copy it to.")
    whose = _said_owner(source.documents)
    if not whose and not source.documents.names(_LOCKS):
        raise InputError(f"There is no store in {here}.", "Name the 'home' of a project.")
    other = _said_owner(target.documents)
    same = any(whose.get(key) and whose.get(key) == other.get(key) for key in _KNOWN_BY)
    if other and not same:
        raise PolicyError(
            f"{there} belongs to the project {other.get('project')}, and {here} to "
            f"{whose.get('project')}.",
            "Copy to a place of its own.",
        )


_KNOWN_BY = ("name", "project", "policy")


def _said_owner(documents: Documents) -> dict[str, Any]:
    """Return what a store says of its project; nothing where it says nothing."""
    try:
        found = json.loads(_found(documents, _OWNER) or b"{}")
    except ValueError as error:
        raise _unreadable(documents.place(_OWNER)) from error
    return found if isinstance(found, dict) else {}


def _require_earlier(there: Release | None, history: Sequence[Release], target: Store) -> None:
    """Return when what is released there is one of the history."""
    if there is not None and there not in history:
        raise PolicyError(
            f"{target.documents.place('')} has a release {there.number} of {there.target} of its "
            "own: it was used since it was copied, or is no copy.",
            "Copy to an empty place; or use the store that has it.",
        )


def _unreadable(place: str) -> IntegrityError:
    return IntegrityError(
        f"{place} cannot be copied: it cannot be read, or is no record.",
        "See what is wrong with it: elt-env verify TARGET; remove or restore it, then copy again.",
    )


def _unlike(place: str) -> IntegrityError:
    return IntegrityError(f"{place} is not what was just written there.", _AGAIN)
