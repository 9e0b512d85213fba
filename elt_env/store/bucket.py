"""The documents of a store as objects of a bucket, through obstore.

An object is written whole or not at all, and a conditional put (If-Match, If-None-Match) moves a
pointer. Whether one was done whose answer was lost is told by a mark that each such put carries.
Lists tell which names there are, never where a pointer leads.

A folder that appears at once is a pointer too: its documents lie beside it, in a hidden folder of
one writing, and the object `.folder` in it says which writing counts.
"""

from __future__ import annotations

import contextlib
import errno
import re
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import obstore
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError
from obstore.store import ObjectStore
from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError, StorageError, StoreUnreachableError
from elt_env.runtime.files import writing
from elt_env.runtime.limits import MOST_STORED_BYTES
from elt_env.store.bucket_client import bucket_errors
from elt_env.store.bucket_lease import bucket_lease
from elt_env.store.documents import Aged, Folder, Tagged

if TYPE_CHECKING:
    from obstore import GetOptions

_FOLDER = ".folder"
_CLOCK = ".clock"
_PLACE = re.compile(r"(.*/)\.([^/]+)-[0-9a-f]{12}")  # of a writing: the folder's, hidden
_MARK = "elt-env-put"  # metadata of an object
_TRIES = 6
_PART = 8 << 20  # bytes
TERM = 30.0  # seconds


@dataclass(frozen=True)
class _Writing:
    """Which writing of a folder counts: the name of its folder, and of each document in it."""

    place: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """An object: its content, its version, and the mark of the put that made it."""

    content: bytes
    tag: str
    mark: str


_writing: TypeAdapter[_Writing] = TypeAdapter(_Writing)


@dataclass(frozen=True)
class BucketDocuments:
    """Documents as objects.

    Attributes:
        bucket: where they are, below the prefix of its URL.
        url: of the bucket and its prefix, for messages.
        term: seconds without a sign of its holder after which a lease is another's to take.
    """

    directory: ClassVar[None] = None

    bucket: ObjectStore
    url: str
    term: float = TERM

    def place(self, key: str) -> str:
        """Return the URL of a document or a folder."""
        return f"{self.url}/{key}".rstrip("/")

    def read(self, key: str, most: int = MOST_STORED_BYTES) -> bytes:
        """Return the content of an object, as `Documents.read`."""
        return self._get(key, most).content

    def read_new(self, key: str, tag: str) -> Tagged | None:
        """Return an object and its ETag, as `Documents.read_new`: with If-None-Match."""
        try:
            found = self._get(key, tag=tag)
        except NotModifiedError:
            return None
        return Tagged(found.content, found.tag)

    def _get(self, key: str, most: int = MOST_STORED_BYTES, tag: str = "") -> _Found:
        with bucket_errors(self.place(key)):
            options: GetOptions = {"if_none_match": tag} if tag else {}
            found = obstore.get(self.bucket, key, options=options)
            if found.meta["size"] > most:
                raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", self.place(key))
            content = bytes(found.bytes())
        return _Found(content, found.meta["e_tag"] or "", found.attributes.get(_MARK, ""))

    def _get_any(self, key: str) -> _Found | None:
        with contextlib.suppress(FileNotFoundError):
            return self._get(key)
        return None

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, as `Documents.names`."""
        with bucket_errors(self.place(folder)):
            found = obstore.list_with_delimiter(self.bucket, folder)
        keys = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        names = {key.rstrip("/").rpartition("/")[2] for key in keys}
        if _FOLDER in names:
            counts = self._writing(folder)
            names |= set(counts.names if counts else ())
        return tuple(sorted(each for each in names if not each.startswith(".")))

    def tags(self, folder: str) -> dict[str, str]:
        """Return the ETags of all objects below a folder, as `Documents.tags`."""
        with bucket_errors(self.place(folder)):
            listed = [each for part in obstore.list(self.bucket, f"{folder}/") for each in part]
        return {each["path"][len(folder) + 1 :]: each["e_tag"] or "" for each in listed}

    def folder(self, folder: str) -> Folder:
        """Return the documents of one writing of a folder, as `Documents.folder`."""
        counts = self._writing(folder)
        place = f"{folder.rpartition('/')[0]}/{counts.place}" if counts else folder
        return _Folder(self, place)

    def write_file(self, key: str, path: Path) -> None:
        """Put an object in parts, as `Documents.write_file`."""
        with bucket_errors(self.place(key), writing=True):
            obstore.put(self.bucket, key, path)

    def read_file(self, key: str, path: Path) -> None:
        """Get an object in parts, as `Documents.read_file`: one request has to end in seconds."""
        with bucket_errors(self.place(key)):
            size = obstore.head(self.bucket, key)["size"]
            with writing(path), path.open("wb") as file:
                for start in range(0, size, _PART):
                    end = min(start + _PART, size)
                    file.write(obstore.get_range(self.bucket, key, start=start, end=end))

    def _writing(self, folder: str) -> _Writing | None:
        """Return which writing of a folder counts; None where it was never written."""
        key = f"{folder}/{_FOLDER}"
        try:
            found, fault = _writing.validate_json(self.read(key)), None
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            found, fault = _Writing("", ()), error
        name = folder.rpartition("/")[2]
        if not re.fullmatch(rf"\.{re.escape(name)}-[0-9a-f]{{12}}", found.place):
            raise IntegrityError(
                f"{self.place(key)} does not say which documents are in that folder.",
                "It was changed by hand: restore it, or remove it and write the folder again.",
            ) from fault
        return found

    def write(self, key: str, content: str | bytes) -> None:
        """Put an object, as `Documents.write`."""
        with bucket_errors(self.place(key), writing=True):
            obstore.put(self.bucket, key, content.encode() if isinstance(content, str) else content)

    def write_folder(self, folder: str, files: Mapping[str, str | bytes]) -> None:
        """Write the documents beside the folder, and let it lead to them with one put."""
        parent, _, name = folder.rpartition("/")
        writing = _Writing(f".{name}-{uuid.uuid4().hex[:12]}", tuple(sorted(files)))
        for each, content in files.items():
            self.write(f"{parent}/{writing.place}/{each}", content)
        key, new = f"{folder}/{_FOLDER}", _writing.dump_json(writing)
        before = self._get_any(key)
        while not self.swap(key, before.content if before else None, new):
            before = self._get_any(key)
        with contextlib.suppress(StorageError, ValidationError):  # nobody misses what is left
            if before:
                self._remove_writing(parent, _writing.validate_json(before.content))

    def _remove_writing(self, parent: str, writing: _Writing) -> None:
        for each in writing.names:
            self.delete(f"{parent}/{writing.place}/{each}")

    def delete(self, key: str) -> None:
        """Remove an object, as `Documents.delete`."""
        with bucket_errors(self.place(key), writing=True), contextlib.suppress(FileNotFoundError):
            obstore.delete(self.bucket, key)

    def aged(self, folder: str, age: float) -> tuple[Aged, ...]:
        """Return the objects below a folder by the time of each, as `Documents.aged`.

        What the bucket's clock says is the time of an object that is put now.
        """
        with bucket_errors(self.place(folder), writing=True):
            obstore.put(self.bucket, _CLOCK, b"")
            moment = obstore.head(self.bucket, _CLOCK)["last_modified"] - timedelta(seconds=age)
            listed = [each for page in obstore.list(self.bucket, folder) for each in page]
        old = {each["path"]: each["size"] for each in listed if each["last_modified"] <= moment}
        return tuple(Aged(key, size, self._is_unseen(key)) for key, size in sorted(old.items()))

    def _is_unseen(self, key: str) -> bool:
        """Tell whether an object is of a writing of a folder that does not count."""
        place = key.rpartition("/")[0]
        found = _PLACE.fullmatch(place)
        with contextlib.suppress(IntegrityError):  # nobody knows which writing counts
            counts = self._writing("".join(found.groups())) if found else None
            return found is not None and (counts is None or not place.endswith(counts.place))
        return False

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Put an object if it is still what was seen, as `Documents.swap`."""
        mark, unanswered = uuid.uuid4().hex, None
        for _ in range(_TRIES):
            found = self._get_any(key)
            if found and found.mark == mark:
                return True  # it was done, and the answer was lost
            if (found.content if found else None) != old:
                return False
            try:
                with bucket_errors(self.place(key), writing=found is None):
                    self._put_if(key, found, new, mark)
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                continue
            except StoreUnreachableError as error:
                unanswered = error
            else:
                return True
        if unanswered:
            raise unanswered
        return False

    def _put_if(self, key: str, found: _Found | None, new: bytes, mark: str) -> None:
        """Put an object where `found` still is the one that is there."""
        obstore.put(
            self.bucket,
            key,
            new,
            attributes={_MARK: mark},
            mode={"e_tag": found.tag} if found else "create",
        )

    def lease(
        self, key: str, limit: float, doing: str, remedy: str
    ) -> AbstractContextManager[None]:
        """Hold an object that is renewed, as `Documents.lease`."""
        folder, _, name = key.rpartition("/")
        path = f"{folder}/.{name}.lock".lstrip("/")
        return bucket_lease(self, path, limit, doing, remedy)


@dataclass(frozen=True)
class _Folder:
    """The documents of one writing of a folder, by name."""

    documents: BucketDocuments
    within: str

    def place(self, name: str) -> str:
        return self.documents.place(f"{self.within}/{name}")

    def read(self, name: str, most: int = MOST_STORED_BYTES) -> bytes:
        return self.documents.read(f"{self.within}/{name}", most)
