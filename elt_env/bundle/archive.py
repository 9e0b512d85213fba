"""The file of a bundle: a tar archive with the members that its list names, and not a byte else.

What is in it is compressed already, so it is not. Each byte between the contents follows from the
list: it is written that way, so that one lock makes one file, and compared with that when it is
read. So nothing in a bundle leads anywhere, whatever somebody made of it: no link, no other path.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from elt_env.bundle import listing as listings
from elt_env.bundle.listing import REMEDY, Entry, Listing
from elt_env.errors import IntegrityError
from elt_env.machine.process import Say
from elt_env.runtime.limits import MOST_LOCK_BYTES

_CHUNK = 1 << 20
_MEGA = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_AGAIN = "Run the same command again; what is damaged is fetched anew."
_SHARES = 10  # of the whole, after each of which it is told how far it is

Open = Callable[[Entry], IO[bytes]]


def write_archive(file: IO[bytes], listing: Listing, open_entry: Open, say: Say) -> None:
    """Write a bundle.

    Args:
        file: where to.
        listing: what it holds.
        open_entry: opens the content of a member.
        say: told how far it is.

    Raises:
        IntegrityError: a content has another size or sha256 than the list says.
    """
    content = listings.render(listing)
    file.write(_header(listings.FILE_NAME, len(content)) + content + _padding(len(content)))
    told = _Told(listing.entries, "written", say)
    for entry in listing.entries:
        file.write(_header(entry.name, entry.size))
        with open_entry(entry) as source:
            for chunk in _checked(entry, source, told, entry.name, _AGAIN):
                file.write(chunk)
        file.write(_padding(entry.size))
    file.write(_END)


class ArchiveReader:
    """Reads a bundle from its start to its end.

    Attributes:
        listing: what it holds.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        """Read the list.

        Raises:
            IntegrityError: it is no bundle, or not one of this format.
        """
        self._file = file
        self._path = path
        self.listing = listings.parse(self._first(), str(path))

    def contents(self, done: str, say: Say) -> Iterator[tuple[Entry, Iterator[bytes]]]:
        """Yield each member with its content, which has to be read to its end.

        Args:
            done: what is done with it, for `say`, as in `checked`.
            say: told how far it is.

        Raises:
            IntegrityError: something is not as the list says; when all was yielded, nothing is.
        """
        told = _Told(self.listing.entries, done, say)
        for entry in self.listing.entries:
            self._require(_header(entry.name, entry.size), entry.name)
            yield entry, _checked(entry, self._file, told, f"{entry.name} in {self._path}")
            self._require(_padding(entry.size), f"the end of {entry.name}")
        self._require(_END, "the end of the bundle")
        if self._file.read(1):
            raise self._wrong("it goes on behind its end")

    def _first(self) -> bytes:
        """Return the content of the list."""
        block = self._file.read(_BLOCK)
        if not block:
            raise self._wrong("it is empty")
        try:
            found = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._wrong("it is no tar archive") from error
        if found.name != listings.FILE_NAME or found.size > MOST_LOCK_BYTES:
            raise self._wrong(f"it begins with {_shown(block)}, not with {listings.FILE_NAME}")
        if block != _header(listings.FILE_NAME, found.size):
            raise self._wrong(f"{_shown(block)} is not written as in a bundle")
        content = self._file.read(found.size)
        if len(content) < found.size:
            raise self._wrong("it ends within its list")
        self._require(_padding(found.size), "the end of its list")
        return content

    def _require(self, wanted: bytes, what: str) -> None:
        found = self._file.read(len(wanted))
        if found == wanted:
            return
        if len(found) < len(wanted):
            raise self._wrong(f"it ends where {what} belongs")
        raise self._wrong(f"where {what} belongs there is {_shown(found)}")

    def _wrong(self, why: str) -> IntegrityError:
        return IntegrityError(f"{self._path} is not a bundle that can be used: {why}.", REMEDY)


class _Told:
    """How far it is."""

    def __init__(self, entries: Sequence[Entry], done: str, say: Say) -> None:
        self._total = sum(each.size for each in entries)
        self._done = done
        self._say = say
        self._size = self._share = 0

    def add(self, size: int) -> None:
        self._size += size
        share = _SHARES * self._size // self._total if self._total > _SHARES * _MEGA else 0
        if share > self._share:
            self._share = share
            mebibytes = f"{self._size // _MEGA} of {self._total // _MEGA} MiB"
            self._say(f"bundle: {mebibytes} {self._done}")


def _checked(
    entry: Entry, file: IO[bytes], told: _Told, source: str, remedy: str = REMEDY
) -> Iterator[bytes]:
    """Yield the content of a member.

    Raises:
        IntegrityError: it ends too early, or has another sha256; `source` says where it is.
    """
    digest, left = hashlib.sha256(), entry.size
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
        told.add(len(chunk))
        yield chunk
    if left:
        raise IntegrityError(f"{source} ends {left} bytes too early.", remedy)
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError(
            f"Hash mismatch of {source}: sha256 {entry.sha256} is expected, "
            f"{digest.hexdigest()} was found.",
            remedy,
        )


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _shown(block: bytes) -> str:
    """Return what a block of a tar archive is, for a person."""
    try:
        found = tarfile.TarInfo.frombuf(block[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return "no member of a tar archive"
    name = ascii(found.name[:80])
    if found.issym() or found.islnk():
        return f"a link, {name} to {found.linkname[:80]!a}"
    return f"the file {name}" if found.isreg() else f"{name}, which is no file"
