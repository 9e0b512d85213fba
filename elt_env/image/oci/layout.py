"""An OCI image layout on disk: blobs by digest, and an index of named images.

The form is that of image-layout.md of the OCI Image Format Specification 1.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from elt_env.environment.damage import Damage, Fault
from elt_env.errors import IntegrityError
from elt_env.image import spec as oci
from elt_env.image.spec import Descriptor
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import sha256_of, write_atomically, writing
from elt_env.runtime.input_files import open_file, read_stored
from elt_env.store.last_use import mark_used

VERSION_FILE, VERSION = "oci-layout", b'{"imageLayoutVersion":"1.0.0"}'
INDEX = "index.json"
_AGAIN = "Make it anew; what can be rebuilt is."
_MODE = 0o644
_BLOB = re.compile(r"[0-9a-f]{64}")


class BlobWriter:
    """A blob that is being written; it counts and hashes what passes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Add `data`; return its length, as files do."""
        self._hash.update(data)
        self._file.write(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return "sha256:" + self._hash.hexdigest()


_LOCK_LIMIT = 60.0  # seconds that another process may write the index


class Layout:
    """One directory of images that share their blobs.

    A blob appears under its digest when it is complete, an image under its name when all its
    blobs are there; what is read back is compared with its digest.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def blob_path(self, digest: str) -> Path:
        """Return where the blob of that digest is or will be."""
        return self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def has(self, blob: Descriptor) -> bool:
        """Return whether a blob of that digest and size is there; its content is not read."""
        try:
            return self.blob_path(blob.digest).stat().st_size == blob.size
        except OSError:
            return False

    def intact(self, blob: Descriptor) -> bool:
        """Return whether the blob is there and its content has its digest."""
        return self.has(blob) and sha256_of(self.blob_path(blob.digest)) == blob.digest[7:]

    @contextlib.contextmanager
    def new_blob(self) -> Iterator[BlobWriter]:
        """Yield a writer; after the block the blob is there under its digest, synced to disk.

        What an exception interrupts leaves nothing.

        Raises:
            StorageError: the disk is full or not writable.
        """
        place = self.path / "blobs" / "sha256"
        with writing(self.path):
            place.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=place, prefix=".new-")
            path = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    writer = BlobWriter(file)
                    yield writer
                    file.flush()
                    os.fsync(file.fileno())
                path.chmod(0o644)
                path.replace(self.blob_path(writer.digest))
            finally:
                path.unlink(missing_ok=True)

    def take(self, theirs: Layout, blob: Descriptor) -> None:
        """Copy a blob of another layout, where it is not here whole.

        Raises:
            IntegrityError: there it is not whole either.
            StorageError: the disk is full or not writable.
        """
        if self.intact(blob):
            return
        path = theirs.blob_path(blob.digest)
        if not theirs.intact(blob):
            raise IntegrityError(
                f"The blob {path} is not there whole, or was changed.",
                "Copy the image into that layout again, or set image-base to something else.",
            )
        with open_file(path) as file, self.new_blob() as copy:
            shutil.copyfileobj(file, copy)

    def copy(self, theirs: Layout, manifest: Descriptor) -> Descriptor:
        """Copy an image of another layout, without its name; return its manifest.

        Raises: as `take`; IntegrityError also where it is no image.
        """
        try:
            image = oci.parse_manifest(theirs.read(manifest))
        except ValueError as error:
            raise IntegrityError(f"{manifest.digest} in {theirs.path}: {error}.", _AGAIN) from error
        for each in (*image.layers, image.config, manifest):
            self.take(theirs, each)
        return manifest

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Keep bytes as a blob; return its descriptor.

        Raises:
            StorageError: the disk is full or not writable.
        """
        blob = oci.describe(data, media_type)
        if not (mark_used(self.blob_path(blob.digest)) and self.intact(blob)):
            write_atomically(self.blob_path(blob.digest), data)
        return blob

    def blob_files(self) -> tuple[Path, ...]:
        """Return the files of all blobs, and those of writers that were killed."""
        return tuple(sorted((self.path / "blobs" / "sha256").glob("*")))

    def read(self, blob: Descriptor) -> bytes:
        """Return the content of a small blob.

        Raises:
            IntegrityError: it is not there, or has another digest.
        """
        path = self.blob_path(blob.digest)
        try:
            data = read_stored(path)
        except OSError as error:
            raise IntegrityError(f"The blob {path} cannot be read: {error}.", _AGAIN) from error
        found = oci.describe(data, blob.media_type).digest
        if found != blob.digest:
            raise IntegrityError(f"The blob {path} was changed: it is {found} now.", _AGAIN)
        return data

    def find(self, name: str) -> Descriptor | None:
        """Return the manifest of the image of that name; None when there is none.

        Raises:
            IntegrityError: the index cannot be read.
        """
        return next(
            (each for each in self.images() if each.annotations.get(oci.REF_NAME) == name), None
        )

    def images(self) -> tuple[Descriptor, ...]:
        """Return the manifests in the index, in its order.

        Raises:
            IntegrityError: the index cannot be read.
        """
        path = self.path / INDEX
        try:
            return oci.parse_index(read_stored(path))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            raise IntegrityError(f"{path} is not an index of images: {error}.", _AGAIN) from error

    def name(self, name: str, manifest: Descriptor) -> None:
        """Make `name` mean that manifest, in one rename; the other names stay.

        Raises:
            IntegrityError: the index cannot be read.
            StorageError: the disk is full or not writable.
        """
        with self._sole_writer():
            others = [each for each in self.images() if each.annotations.get(oci.REF_NAME) != name]
            mine = Descriptor(
                manifest.media_type,
                manifest.digest,
                manifest.size,
                {oci.REF_NAME: name},
                manifest.artifact_type,
            )
            listed = sorted(
                [*others, mine], key=lambda each: each.annotations.get(oci.REF_NAME, "")
            )
            self._write_index(tuple(listed))

    def forget(self, name: str) -> None:
        """Drop `name` from the index; its blobs stay until they are collected."""
        with self._sole_writer():
            found = self.images()
            kept = tuple(each for each in found if each.annotations.get(oci.REF_NAME) != name)
            if kept != found:
                self._write_index(kept)

    def _write_index(self, manifests: tuple[Descriptor, ...]) -> None:
        write_atomically(self.path / VERSION_FILE, VERSION)
        write_atomically(self.path / INDEX, oci.index_bytes(manifests))

    @contextlib.contextmanager
    def _sole_writer(self) -> Iterator[None]:
        what, remedy = f"writing the index of {self.path}", "Run the same command again."
        with file_lock(self.path / ".index.lock", _LOCK_LIMIT, what, remedy):
            yield


def blob_damage(layout: Layout, blob: Descriptor) -> Damage | None:
    """Return what is wrong with a blob, which is read; None for nothing."""
    fault = file_fault(layout.blob_path(blob.digest), blob.digest)
    return Damage("image", blob.digest, fault) if fault else None


def layout_damages(layout: Layout) -> Iterator[Damage]:
    """Yield what is wrong with a layout but for its blobs, and what does not belong there.

    What is being written has a name with a dot in front of it.
    """
    version = layout.path / VERSION_FILE
    if not version.is_file():
        yield Damage("image", VERSION_FILE, "is gone")
    elif read_stored(version) != VERSION:
        yield Damage("image", VERSION_FILE, "was changed")
    for path in (version, layout.path / INDEX):
        if path.is_file() and _mode(path) != _MODE:
            yield Damage("image", path.name, "has other permissions")
    for path in strangers(layout):
        yield Damage("image", path.relative_to(layout.path).as_posix(), "was added")


def strangers(layout: Layout) -> list[Path]:
    """Return what lies in a layout and does not belong there."""
    blobs = layout.path / "blobs"
    places = {
        layout.path: {"blobs", INDEX, VERSION_FILE},
        blobs: {"sha256"},
        blobs / "sha256": None,
    }
    return [
        path
        for place, names in places.items()
        for path in sorted(place.glob("[!.]*"))
        if not (path.name in names if names else _BLOB.fullmatch(path.name))
    ]


def file_fault(path: Path, digest: str) -> Fault | None:
    """Return what is wrong with a file that has to have that digest, and to be for all to read."""
    if not path.is_file() or path.is_symlink():
        return "was changed" if path.exists() else "is gone"
    if sha256_of(path) != digest.removeprefix("sha256:"):
        return "was changed"
    return None if _mode(path) == _MODE else "has other permissions"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
