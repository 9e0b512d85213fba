"""Bases that lie on a disk: an image in an OCI layout, or a tar archive of a root directory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

from elt_env.errors import PolicyError
from elt_env.image import spec as oci
from elt_env.image.bases.base import Base, BuiltBase, Request
from elt_env.image.bases.images import base_of, layers_of
from elt_env.image.oci.layer import write_tar
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor
from elt_env.runtime.input_files import open_file

_ELF = b"\x7fELF"
_MACHINE = slice(18, 20)
# e_machine of elf(5), as GOARCH; that of s390x is written with its high byte first.
_ARCHITECTURES = {b"\x3e\0": "amd64", b"\xb7\0": "arm64", b"\x15\0": "ppc64le", b"\0\x16": "s390x"}
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


def split_layout(wanted: str) -> tuple[Path, str] | None:
    """Return the directory and the name of the image, of `path` or `path:name`; None if neither."""
    if (Path(wanted) / "oci-layout").is_file():
        return Path(wanted), ""
    path, _, name = wanted.rpartition(":")
    return (Path(path), name) if path and (Path(path) / "oci-layout").is_file() else None


def find_image(path: Path, name: str) -> Descriptor:
    """Return the image of that name in a layout on disk; the only one for the name "".

    Raises:
        PolicyError: there is none of that name, or there are several.
        IntegrityError: the layout cannot be read.
    """
    images = Layout(path).images()
    names = sorted(each.annotations.get(oci.REF_NAME, "") for each in images)
    found = [each for each in images if not name or each.annotations.get(oci.REF_NAME) == name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(each for each in names if each) or "none with a name"
    problem = f"no image '{name}'" if name else f"{len(images)} images"
    raise PolicyError(
        f"The OCI layout {path} has {problem}; its images: {known}.",
        f'Name one of them, as in: image-base = "{path}:{next(filter(None, names), "name")}"',
    )


def from_layout(path: Path, name: str, image: Descriptor, request: Request) -> BuiltBase:
    """Take an image of a layout on disk as a base; its layers keep their bytes.

    Raises:
        PolicyError: it is no image, or one for another platform.
        IntegrityError: a blob is not there or was changed.
        StorageError: the disk is full or not writable.
    """
    theirs = Layout(path)
    shown = f"{path}:{name}" if name else str(path)
    config, layers = layers_of(image, theirs.read, request.platform, shown)
    for each in layers:
        request.layout.take(theirs, each.blob)
    said = f"the image {image.digest[:19]} of the OCI layout {path.name}{name and ':' + name}"
    return BuiltBase(base_of("layout", said, layers, config.env, request))


def from_tar(path: Path, request: Request) -> BuiltBase:
    """Take a tar archive of a root directory as a base of one layer.

    Raises:
        PolicyError: it is no tar archive, or its programs are for another platform.
        StorageError: the disk is full or not writable.
    """
    _require_architecture(path, oci.architecture(request.platform))
    with plain(path) as content:
        layer = write_tar(request.layout, request.compression, path.name, content)
    said = f"the archive {path.name} ({layer.diff_id[:19]})"
    base: Base = base_of("archive", said, (layer,), (), request)
    return BuiltBase(base, frozenset({path}))


def _require_architecture(path: Path, wanted: str) -> None:
    """Read all of an archive, so that a damaged one is found as well."""
    with plain(path) as content, tarfile.open(fileobj=content, mode="r|") as root:
        found = list(filter(None, map(_architecture(root), root)))
    if found and wanted not in found:
        raise PolicyError(
            f"{path} has programs for {found[0]}; the environment is for {wanted}.",
            "Set image-base to a root for this platform.",
        )


def _architecture(root: tarfile.TarFile) -> Callable[[tarfile.TarInfo], str | None]:
    """Return what tells the architecture that a file of the archive is made for, if any."""

    def architecture(member: tarfile.TarInfo) -> str | None:
        file = root.extractfile(member) if member.isfile() else None
        start = file.read(_MACHINE.stop) if file else b""
        if not start.startswith(_ELF):
            return None
        return _ARCHITECTURES.get(start[_MACHINE], "another machine")

    return architecture
