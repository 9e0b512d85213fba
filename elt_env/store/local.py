"""The documents of a store as files of one directory of this machine."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import IntegrityError
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import write_atomically, writing, writing_atomically
from elt_env.runtime.input_files import cause, read_bytes
from elt_env.runtime.limits import MOST_STORED_BYTES
from elt_env.store.documents import Aged, Tagged

_LIMIT = 30.0  # seconds; who swaps writes one small file
_AGAIN = "Run the same command again."


@dataclass(frozen=True)
class LocalDocuments:
    """The documents below a directory, each a file that is written beside its place and renamed.

    A lease is a lock of the operating system on a hidden file beside what is leased, which ends
    with its holder.
    """

    directory: Path

    def place(self, key: str) -> str:
        """Return the path of a document or a folder; "" is all of them."""
        return str(self.directory / key)

    def read(self, key: str, most: int = MOST_STORED_BYTES) -> bytes:
        """Return the content of a file, as `Documents.read`."""
        try:
            return read_bytes(self.directory / key, most)
        except NotADirectoryError as error:  # where a folder would be is a file
            raise FileNotFoundError(*error.args) from error

    def read_new(self, key: str, tag: str) -> Tagged | None:
        """Return the content of a file with its digest, as `Documents.read_new`."""
        content = self.read(key)
        found = hashlib.sha256(content).hexdigest()
        return None if found == tag else Tagged(content, found)

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names in a directory, as `Documents.names`."""
        path = self.directory / folder
        try:
            return tuple(sorted(each.name for each in path.iterdir() if each.name[0] != "."))
        except FileNotFoundError:
            return ()
        except OSError as error:
            if not self.directory.is_dir():
                return ()
            raise IntegrityError(
                f"The directory {path} cannot be read: {cause(error)}.",
                "Make it a directory that this user can read, then run the same command.",
            ) from error

    def tags(self, folder: str) -> dict[str, str]:
        """Return what changes with each file below a directory, as `Documents.tags`."""
        root = str(self.directory / folder)
        found = {}
        for directory, _, names in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)  # noqa: PTH118  # of tens of thousands
                with contextlib.suppress(FileNotFoundError):
                    stat = os.lstat(path)
                    tag = f"{stat.st_ctime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"
                    found[path[len(root) + 1 :]] = tag
        return found

    def folder(self, folder: str) -> LocalDocuments:
        """Return the documents below a directory, as `Documents.folder`."""
        return LocalDocuments(self.directory / folder)

    def write(self, key: str, content: str | bytes) -> None:
        """Write a file in one rename, as `Documents.write`."""
        write_atomically(self.directory / key, content)

    def write_folder(self, folder: str, files: Mapping[str, str | bytes]) -> None:
        """Write the files of a directory, which then appears in one rename."""
        path = self.directory / folder
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as place:
                new, old = Path(place) / "new", Path(place) / "old"
                for name, content in files.items():
                    write_atomically(new / name, content)
                _exchange(path, new, old)

    def write_file(self, key: str, path: Path) -> None:
        """Copy a file, as `Documents.write_file`."""
        with path.open("rb") as source, writing_atomically(self.directory / key) as file:
            shutil.copyfileobj(source, file)

    def read_file(self, key: str, path: Path) -> None:
        """Copy a file, as `Documents.read_file`."""
        with (self.directory / key).open("rb") as source, writing(path), path.open("wb") as file:
            shutil.copyfileobj(source, file)

    def delete(self, key: str) -> None:
        """Remove a file, as `Documents.delete`."""
        path = self.directory / key
        with writing(path):
            path.unlink(missing_ok=True)

    def aged(self, folder: str, age: float) -> tuple[Aged, ...]:
        """Return the files below a directory by the time of each, as `Documents.aged`."""
        place, moment = self.directory / folder, time.time() - age
        found = []
        for path in sorted(each for each in place.glob("**/[!.]*") if each.is_file()):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if status.st_mtime <= moment:
                    key = path.relative_to(self.directory).as_posix()
                    found.append(Aged(key, status.st_size))
        return tuple(found)

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        """Compare and write while nobody else does, as `Documents.swap`."""
        with self.lease(key, _LIMIT, f"writing {self.place(key)}", _AGAIN):
            try:
                found = self.read(key)
            except FileNotFoundError:
                found = None
            if found == old:
                self.write(key, new)
            return found == old

    def lease(
        self, key: str, limit: float, doing: str, remedy: str
    ) -> AbstractContextManager[None]:
        """Lock a file, as `Documents.lease`."""
        path = self.directory / key
        return file_lock(path.with_name(f".{path.name}.lock"), limit, doing, remedy)


def _exchange(directory: Path, new: Path, old: Path) -> None:
    """Let `new` become `directory`, and what was there become `old`."""
    with contextlib.suppress(FileNotFoundError):
        directory.replace(old)
    try:
        new.replace(directory)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # another process has just put the same there; it will do
        with contextlib.suppress(OSError):
            old.replace(directory)
        raise
