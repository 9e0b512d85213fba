"""Reads tar archives, whatever they are compressed with."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

from elt_env.errors import PolicyError
from elt_env.runtime.input_files import open_file

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_DAMAGE = (
    *(EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error),
    *(lzma.LZMAError, zstandard.ZstdError, UnicodeDecodeError),
)


@contextlib.contextmanager
def plain(path: Path) -> Iterator[IO[bytes]]:
    """Yield what is in a file, decompressed; it tells by its first bytes how it is compressed.

    Raises:
        PolicyError: it cannot be read, or it is damaged: also where the block finds that out.
    """
    try:
        with open_file(path) as file:
            start = file.read(len(_XZ))
            file.seek(0)
            with _decompressed(file, start) as content:
                yield content
    except _DAMAGE as error:
        raise _unusable(path, str(error) or type(error).__name__) from error
    except OSError as error:
        # bz2 reports damage in this way, without a number.
        if error.errno is None or error.filename == str(path):
            raise _unusable(path, error.strerror or str(error)) from error
        raise


def _decompressed(file: IO[bytes], start: bytes) -> IO[bytes]:
    if start.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(file))
    if start.startswith(_XZ):
        return cast("IO[bytes]", lzma.open(file))
    if start.startswith(_BZIP2):
        return cast("IO[bytes]", bz2.open(file))
    if start.startswith(_ZSTD):
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return cast("IO[bytes]", reader)
    return file


def _unusable(path: Path, cause: str) -> PolicyError:
    return PolicyError(
        f"{path} is not a tar archive that can be read: {cause}.",
        "Make it again, or set image-base to something else.",
    )
