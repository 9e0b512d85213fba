"""Documents in an object store, through obstore: the second implementation of the contract.

It moves to `elt_env/store/` when a home may be a bucket.
"""

from __future__ import annotations

import errno
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import MemoryStore

from elt_env.errors import BusyError
from elt_env.runtime.limits import MOST_STORED_BYTES

_PAUSE = 0.01  # seconds


@dataclass(frozen=True)
class ObjectDocuments:
    """Documents as objects; a lease is one that says until when it holds.

    Attributes:
        term: seconds after which a lease is another's to take.
    """

    bucket: MemoryStore = field(default_factory=MemoryStore)
    term: float = 60.0

    def place(self, key: str) -> str:
        return f"memory:///{key}"

    def read(self, key: str, most: int = MOST_STORED_BYTES) -> bytes:
        return self._read(key, most)[0]

    def _read(self, key: str, most: int = MOST_STORED_BYTES) -> tuple[bytes, str]:
        found = obstore.get(self.bucket, key)
        if found.meta["size"] > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", self.place(key))
        return bytes(found.bytes()), found.meta["e_tag"] or ""

    def names(self, folder: str) -> tuple[str, ...]:
        found = obstore.list_with_delimiter(self.bucket, folder)
        keys = [*found["common_prefixes"], *(each["path"] for each in found["objects"])]
        names = {key.rstrip("/").rpartition("/")[2] for key in keys}
        return tuple(sorted(each for each in names if not each.startswith(".")))

    def write(self, key: str, content: str | bytes) -> None:
        obstore.put(self.bucket, key, content.encode() if isinstance(content, str) else content)

    def write_folder(self, folder: str, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            self.write(f"{folder}/{name}", content)

    def delete(self, key: str) -> None:
        obstore.delete(self.bucket, key)

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        try:
            found, tag = self._read(key)
        except FileNotFoundError:
            return old is None and self._create(key, new)
        return found == old and self._replace(key, tag, new)

    def _create(self, key: str, content: bytes) -> bool:
        try:
            obstore.put(self.bucket, key, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def _replace(self, key: str, tag: str, content: bytes) -> bool:
        try:
            obstore.put(self.bucket, key, content, mode={"e_tag": tag})
        except (PreconditionError, FileNotFoundError):
            return False
        return True

    @contextmanager
    def lease(self, key: str, limit: float, doing: str, remedy: str) -> Iterator[None]:
        folder, _, name = key.rpartition("/")
        path = f"{folder}/.{name}.lock".lstrip("/")
        until = time.time() + self.term
        mine = json.dumps({"until": until, "holder": uuid.uuid4().hex}).encode()
        deadline = time.monotonic() + limit
        while not self._take(path, mine):
            if time.monotonic() >= deadline:
                raise BusyError(f"Another process has been {doing} for over {limit:.0f} s.", remedy)
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            self.swap(path, mine, b"")

    def _take(self, path: str, mine: bytes) -> bool:
        try:
            held = self.read(path)
        except FileNotFoundError:
            return self.swap(path, None, mine)
        free = not held or json.loads(held)["until"] < time.time()
        return free and self.swap(path, held, mine)
