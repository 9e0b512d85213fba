"""The store's one interface: small documents, pointers that move by compare-and-swap, leases.

Each room keeps its own records through it, and none knows where they lie. `store/local.py` has them
as files of one directory, `store/bucket.py` as objects of a bucket; one contract holds for both
(`tests/integration/store/test_documents.py`). The bucket is asked through obstore, which puts on
conditions and tries again, in one wheel without dependencies; fsspec has no such puts, so that
two who move a pointer at once would lose one of the moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.runtime.limits import MOST_STORED_BYTES

_JSON = ".json"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Tagged:
    """A document, and a tag that tells this content of it from any other."""

    content: bytes
    tag: str


@dataclass(frozen=True)
class Aged:
    """A document that nobody wrote lately.

    Attributes:
        size: in bytes.
        unseen: whether nobody will read it, since its writer was killed.
    """

    key: str
    size: int
    unseen: bool = False


class Folder(Protocol):
    """The documents of a folder by name, all of one writing where it was written as a whole."""

    def place(self, name: str) -> str:
        """Return where a document lies, for a message."""
        ...

    def read(self, name: str, most: int = MOST_STORED_BYTES) -> bytes:
        """Return a document, as `Documents.read`."""
        ...


class Documents(Protocol):
    """Documents by key, as in `readiness/elt/3.13.json`; what comes before a `/` is a folder.

    All but `place` raise StorageError where the store is full, refuses, or cannot be used, and
    StoreUnreachableError where it may answer later.
    """

    @property
    def directory(self) -> Path | None:
        """The directory of this machine whose files the documents are; None where they are none."""
        ...

    def place(self, key: str) -> str:
        """Return where a document or a folder lies, for a message; "" is all of them."""
        ...

    def read(self, key: str, most: int = MOST_STORED_BYTES) -> bytes:
        """Return a document as somebody wrote it whole.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read, or is larger than `most` bytes; `strerror` says which.
        """
        ...

    def read_new(self, key: str, tag: str) -> Tagged | None:
        """Return a document with its tag, by one request; None where that is still `tag`.

        Raises: as `read`.
        """
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names right in a folder, sorted, but for those that begin with a dot.

        They are documents and folders. A folder that is not there has none.

        Raises:
            IntegrityError: the folder cannot be read.
        """
        ...

    def tags(self, folder: str) -> Mapping[str, str]:
        """Return a tag of everything below a folder, hidden or not, by its key within the folder.

        One that is written again gets another tag. None of them is read.
        """
        ...

    def folder(self, folder: str) -> Folder:
        """Return the documents of a folder as it is now.

        Raises:
            IntegrityError: which documents are in it was changed by hand.
        """
        ...

    def write(self, key: str, content: str | bytes) -> None:
        """Write a document, in place of the one before: whole, or not at all."""
        ...

    def write_folder(self, folder: str, files: Mapping[str, str | bytes]) -> None:
        """Write documents by name, in place of a folder: they are there all at once, and alone.

        Where another one writes the same folder at the same time, one of the two is there after it.
        They are read through `folder`.
        """
        ...

    def write_file(self, key: str, path: Path) -> None:
        """Write what a file holds, of any size: whole, or not at all."""
        ...

    def read_file(self, key: str, path: Path) -> None:
        """Write a document of any size into a new file.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be read.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a document, if it is there."""
        ...

    def aged(self, folder: str, age: float) -> tuple[Aged, ...]:
        """Return the documents at any depth below a folder that were written `age` seconds ago.

        Or before then, by the clock of where they lie, which is no machine's to set.
        """
        ...

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Write a document where it is `old` now, or not there if that is None.

        Returns:
            Whether it was. Of several who swap the same content, one succeeds.
        """
        ...

    def lease(
        self, key: str, limit: float, doing: str, remedy: str
    ) -> AbstractContextManager[None]:
        """Run the block while nobody else has the lease; that of a holder who died is freed.

        Args:
            key: of what is leased; no document needs to be there.
            limit: seconds to wait.
            doing: what the holder does, as in `moving the release of elt@3.11`.
            remedy: what to do when that takes too long.

        Raises:
            BusyError: another one is still at it at the limit.
        """
        ...


def record_names(documents: Documents, folder: str) -> tuple[str, ...]:
    """Return the names of the JSON documents in a folder, without their ending, sorted.

    Raises:
        IntegrityError: the folder cannot be read.
    """
    names = documents.names(folder)
    return tuple(sorted(each[: -len(_JSON)] for each in names if is_record(each)))


def is_record(key: str) -> bool:
    """Tell whether a document is a JSON document, and no hidden one."""
    return key.endswith(_JSON) and not key.rpartition("/")[2].startswith(".")


def read_record(
    documents: Documents, key: str, record: TypeAdapter[_T], problem: str, remedy: str
) -> _T | None:
    """Return what a JSON document says; None when there is none.

    Args:
        documents: where it is kept.
        key: its key.
        record: the type of what it says.
        problem: what the error says, with `{}` for its place.
        remedy: what the error says to do.

    Raises:
        IntegrityError: it cannot be read, or says something else.
    """
    try:
        return record.validate_json(documents.read(key))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise IntegrityError(problem.format(documents.place(key)), remedy) from error


def write_record(documents: Documents, key: str, record: TypeAdapter[_T], value: _T) -> None:
    """Keep a value as a JSON document, in place of the one before.

    Raises:
        StorageError: the store is full or not writable.
    """
    documents.write(key, record_bytes(record, value))


def record_bytes(record: TypeAdapter[_T], value: _T) -> bytes:
    """Return a value as it is kept."""
    return record.dump_json(value, indent=1) + b"\n"
