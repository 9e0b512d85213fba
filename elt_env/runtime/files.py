"""Files on disk: written whole or not at all, and failures of the disk in a person's words."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from elt_env.errors import StorageError
from elt_env.runtime.input_files import open_handle
from elt_env.runtime.limits import MOST_ARCHIVE_BYTES

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
_MOVE = "set 'home' in [tool.elt-env], or ELT_ENV_HOME, to a directory of this project alone"


def storage_error(place: Path, cause: str, *, full: bool) -> StorageError:
    """Return the error for a disk that is full or refuses to be written at `place`."""
    if full:
        return StorageError(
            f"No space left on the disk of {place}.",
            f"Free some space, or {_MOVE} on another disk; then run the same command.",
        )
    return StorageError(
        f"{place} cannot be written: {cause}.",
        f"Make it writable for this user, or {_MOVE} that is writable.",
    )


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn the operating system's refusals inside the block into StorageError about `place`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise storage_error(place, "", full=True) from error
        if error.errno == errno.EISDIR and place.is_dir():
            raise StorageError(
                f"{place} cannot be written: it is a directory, where a file belongs.",
                f"Remove it, then run the same command: rm -r {shlex.quote(str(place))}",
            ) from error
        if error.errno in _REFUSED:
            raise storage_error(place, os.strerror(error.errno or 0), full=False) from error
        raise


def write_atomically(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write `content` to `path`, as `writing_atomically`."""
    with writing_atomically(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def writing_atomically(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield a file that becomes `path` when the block ends well; till then that is as it was.

    Raises:
        StorageError: the disk is full or the directory not writable; `path` is as it was.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Have what is in a file, or the names in a directory, on the disk as it is now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: str | Path) -> str:
    """Return the hex sha256 of a file's content; "" of one that no archive and no layer equals.

    That is one with more than MOST_ARCHIVE_BYTES, which nobody waits for.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    handle = open_handle(path)
    try:
        return sha256_of_open(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


def sha256_of_open(handle: int, size: int) -> str:
    """Return the sha256 of a file of `size` bytes that is open; see `sha256_of`."""
    if size > MOST_ARCHIVE_BYTES:
        return ""
    digest, taken = hashlib.sha256(), 0
    # No larger a buffer than the file needs: most of them are small, and there are many.
    most = min(size + 1, _CHUNK)
    while chunk := os.read(handle, most):
        digest.update(chunk)
        taken += len(chunk)
        if taken >= size and len(chunk) < most:  # there is no more, and nothing is read for it
            break
    return digest.hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a directory so that it is gone from its name at once, then from the disk.

    It needs no space for that. A removal that is interrupted leaves only `.removed-<name>` beside
    it, which the next call for `path` clears. One process at a time may call it for `path`.

    Raises:
        StorageError: the directory, or what an earlier call left of it, cannot be removed.
    """
    aside = path.with_name(f".removed-{path.name}")
    with writing(path):
        if aside.exists():
            shutil.rmtree(aside)
        if path.exists():
            path.replace(aside)
            shutil.rmtree(aside, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove what is at a path, be it a file, a link, or a directory with all that is in it.

    Raises:
        StorageError: it cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        with writing(path):
            path.unlink(missing_ok=True)


def remove_abandoned(directories: Iterable[Path], age: float) -> None:
    """Remove those directories that nobody has changed for `age` seconds, as far as possible."""
    before = time.time() - age
    for each in directories:
        with contextlib.suppress(FileNotFoundError):
            if each.is_dir() and each.stat().st_mtime < before:
                shutil.rmtree(each, ignore_errors=True)
