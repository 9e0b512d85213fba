"""Writes the layers of an image: a tar whose bytes depend on what is in it alone, compressed."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Callable
from typing import IO, Literal, Protocol

import zstandard

from elt_env.image import spec as oci
from elt_env.image.oci.layout import BlobWriter, Layout
from elt_env.image.spec import Descriptor, Layer

Buffer = bytes | bytearray | memoryview

Compression = Literal["zstd", "gzip"]

MTIME = 315532800
"""1980-01-01 in seconds since the epoch: the time of every file, which zip can hold as well."""

_MEDIA_TYPES = {"zstd": oci.LAYER_ZSTD, "gzip": oci.LAYER_GZIP}
_ZSTD_LEVEL = 1  # packing then takes less than twice as long as reading and hashing
_GZIP_LEVEL = 6
_GZIP_WINDOW = 31  # zlib then writes a gzip header, without a time or a name
_PIECE = 1 << 21
_NAME = tarfile.LENGTH_NAME
_OCTAL = 1 << 33  # bytes from which on a size does not fit into its field
_ROOT = b"0000000\0" * 2  # user and group
_PLAIN = (tarfile.REGTYPE, tarfile.DIRTYPE)
_REST = (bytes(_NAME) + tarfile.POSIX_MAGIC).ljust(188, b"\0")
_REST_SUM = sum(_REST)
_AFTER = tarfile.BLOCKSIZE - 157 - len(_REST)  # bytes for the beginning of a long name


class _Compressor(Protocol):
    def compress(self, data: Buffer, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Frames:
    """Makes a zstd frame of each piece; one after the other they are one content (RFC 8878, 3.1).

    A frame that is begun and ended in one call is made a third faster than a stream.
    """

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)

    def compress(self, data: Buffer, /) -> bytes:
        return self._zstd.compress(data)

    def flush(self) -> bytes:
        return b""


class _Stream:
    """A tar on its way into a blob: hashed, compressed in pieces of one size, written."""

    def __init__(self, blob: BlobWriter, compression: Compression) -> None:
        self._blob = blob
        self._compressor = _compressor(compression)
        self._hash = hashlib.sha256()
        self._piece = memoryview(bytearray(_PIECE))
        self._filled = 0

    def write(self, data: Buffer) -> None:
        rest = memoryview(data)
        while len(rest) >= (free := _PIECE - self._filled):
            if self._filled:
                self._piece[self._filled :] = rest[:free]
                self._pass(self._piece)
            else:
                self._pass(rest[:free])
            self._filled = 0
            rest = rest[free:]
        self._piece[self._filled : self._filled + len(rest)] = rest
        self._filled += len(rest)

    def close(self) -> str:
        """End the stream; return the digest of the tar."""
        self._pass(self._piece[: self._filled])
        self._blob.write(self._compressor.flush())
        return "sha256:" + self._hash.hexdigest()

    def _pass(self, data: Buffer) -> None:
        self._hash.update(data)
        self._blob.write(self._compressor.compress(data))


class LayerWriter:
    """A layer that is being written.

    Names are relative to the root, as in `opt/elt/bin/dbt`. Everything belongs to root, a
    directory to whom it is given, and has the time MTIME; the directories above an entry are added
    where they are missing.
    """

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._directories: set[str] = {""}

    def directory(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a directory, once; `owner` is the number of its user and of its group."""
        if name in self._directories:
            return
        self._above(name)
        self._directories.add(name)
        self._stream.write(header(name, tarfile.DIRTYPE, mode, 0, "", owner))

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file with that content."""
        self._above(name)
        self._stream.write(header(name, tarfile.REGTYPE, mode, len(data), ""))
        self._stream.write(data)
        self._stream.write(bytes(-len(data) % tarfile.BLOCKSIZE))

    def copy(self, name: str, file: IO[bytes], size: int, mode: int = 0o644) -> None:
        """Add a file of `size` bytes, read in pieces.

        Raises:
            EOFError: there were fewer.
        """
        self._above(name)
        self._stream.write(header(name, tarfile.REGTYPE, mode, size, ""))
        left = size
        while left:
            data = file.read(min(_PIECE, left))
            if not data:
                raise EOFError(f"{name} ended {left} bytes early")
            self._stream.write(data)
            left -= len(data)
        self._stream.write(bytes(-size % tarfile.BLOCKSIZE))

    def symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._above(name)
        self._stream.write(header(name, tarfile.SYMTYPE, 0o777, 0, target))

    def _above(self, name: str) -> None:
        self.directory(name.rpartition("/")[0])


def header(  # noqa: PLR0913, PLR0917  # the fields of a header
    name: str, kind: bytes, mode: int, size: int, target: str, owner: int = 0
) -> bytes:
    """Return the header of an entry, as ustar has it, extended where that needs it (POSIX pax)."""
    if kind in _PLAIN and owner == 0 and size < _OCTAL and name.isascii() and "\0" not in name:
        parts = _split(f"{name}/" if kind == tarfile.DIRTYPE else name)
        if parts:
            return _plain_header(*parts, kind, mode, size)
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, size, target
    info.mtime = MTIME
    info.uid = info.gid = owner
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _split(name: str) -> tuple[str, str] | None:
    """Return the two parts of a name that ustar has fields for; None when it is too long."""
    if len(name) <= _NAME:
        return "", name
    cut = name.find("/", len(name) - _NAME - 1)
    return (name[:cut], name[cut + 1 :]) if 0 < cut <= tarfile.LENGTH_PREFIX else None


def _plain_header(above: str, name: str, kind: bytes, mode: int, size: int) -> bytes:
    """Return the header of what has no target, ten times faster than the standard library does."""
    start = b"%b%07o\0%b%011o\0%011o\0" % (
        name.encode().ljust(_NAME, b"\0"),
        mode,
        _ROOT,
        size,
        MTIME,
    )
    prefix = above.encode()
    # The checksum is that of the header with blanks in its place.
    checksum = sum(start) + 8 * ord(" ") + ord(kind) + _REST_SUM + sum(prefix)
    return b"%b%06o\0 %b%b%b" % (start, checksum, kind, _REST, prefix.ljust(_AFTER, b"\0"))


def write_layer(
    layout: Layout, compression: Compression, holds: str, fill: Callable[[LayerWriter], None]
) -> Layer:
    """Return the layer that `fill` fills, kept in the layout.

    Raises:
        StorageError: the disk is full or not writable.
        And what `fill` raises; then nothing is kept.
    """
    with layout.new_blob() as blob:
        stream = _Stream(blob, compression)
        fill(LayerWriter(stream))
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
        diff_id = stream.close()
    return _layer(blob, compression, diff_id, holds)


def write_tar(layout: Layout, compression: Compression, holds: str, archive: IO[bytes]) -> Layer:
    """Return the layer of a whole tar archive, whose bytes stay as they are.

    Raises:
        StorageError: the disk is full or not writable.
    """
    with layout.new_blob() as blob:
        stream = _Stream(blob, compression)
        while data := archive.read(_PIECE):
            stream.write(data)
        diff_id = stream.close()
    return _layer(blob, compression, diff_id, holds)


def compressor_version(compression: Compression) -> str:
    """Return what the bytes of a compressed layer depend on besides its content."""
    if compression == "gzip":
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION} level {_GZIP_LEVEL}"
    version = ".".join(map(str, zstandard.ZSTD_VERSION))
    return f"zstd {version} level {_ZSTD_LEVEL} in frames of {_PIECE}"


def _layer(blob: BlobWriter, compression: Compression, diff_id: str, holds: str) -> Layer:
    descriptor = Descriptor(_MEDIA_TYPES[compression], blob.digest, blob.size)
    return Layer(descriptor, diff_id, holds)


def _compressor(compression: Compression) -> _Compressor:
    if compression == "gzip":
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return _Frames()
