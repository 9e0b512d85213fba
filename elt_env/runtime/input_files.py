"""Files that people and programs wrote: read whole, if they are files, of the size that such have.

Whatever else stands in the place of one, as a pipe, a device or a socket, is refused at once.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from elt_env.runtime.limits import MOST_ARCHIVE_BYTES, MOST_BYTES, MOST_STORED_BYTES

_CHUNK = 1 << 20
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_file(path: str | Path) -> BufferedReader:
    """Open a file of any size to read it; see `open_handle`.

    Raises:
        OSError: as `open_handle`.
    """
    return open(open_handle(path), "rb")  # a descriptor, for the caller to close


def open_handle(path: str | Path) -> int:
    """Return a descriptor to read a file; of `/dev/null`, people's name for "none", nothing comes.

    It never waits for a writer, whatever `path` is.

    Raises:
        OSError: it cannot be read, or is no file; `strerror` says which.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # open(2): a socket cannot be opened
            raise _no_file(stat.S_IFSOCK, path) from None
        raise
    state = os.fstat(handle)
    if stat.S_ISREG(state.st_mode) or _is_null(state):
        return handle
    os.close(handle)
    raise _no_file(state.st_mode, path)


def _no_file(mode: int, path: str | Path) -> OSError:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: as `open_file`, or it is larger than `most` bytes; `strerror` says which.
    """
    with open_file(path) as file:
        parts, left = [], most + 1
        if os.fstat(file.fileno()).st_size > most:
            left = 0
        while left and (part := file.read(min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
    if not left:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
    return b"".join(parts)


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Return the content of a UTF-8 text file.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8")


def read_stored(path: Path) -> bytes:
    """Return the content of a file that programs wrote: of the store, of a prefix, of a check.

    Raises:
        OSError: as `read_bytes`.
    """
    return read_bytes(path, MOST_STORED_BYTES)


def read_content(path: Path) -> bytes:
    """Return the content of a file of a package, a project or a machine, as large as it may be.

    Raises:
        OSError: as `read_bytes`.
    """
    return read_bytes(path, MOST_ARCHIVE_BYTES)


def read_stored_text(path: Path, errors: str = "strict") -> str:
    r"""Return the same as UTF-8 text, with `\n` for each end of a line, as `open` reads it.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: it is not UTF-8, and `errors` is `strict`.
    """
    text = read_stored(path).decode("utf-8", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def cause(error: OSError | ValueError) -> str:
    """Return why a file could not be read, for a message."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8 text (byte {error.start})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _is_null(state: os.stat_result) -> bool:
    null = os.stat(os.devnull)  # noqa: PTH116  # what a path has no word for
    return stat.S_ISCHR(state.st_mode) and state.st_rdev == null.st_rdev
