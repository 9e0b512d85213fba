"""The images of a store: one OCI layout for all, what was packed for which lock, and its layers.

Below `home`:

    oci/                   the layout; its images share their blobs
    images/<digest>.json   the image of the lock with that digest; .cdx.json is its SBOM, and
                           .layers.json names the layers of its packages, below
    layers/<key>.json      the layer that answers a question, to be used again
    bases/                 what the bases keep
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError, ToolError
from elt_env.image.oci.attachments import attach
from elt_env.image.oci.layout import Layout, file_fault
from elt_env.image.record import FileState, ImageRecord, PackedLayer, PrefixLayers, sbom_name
from elt_env.image.spec import Descriptor, Layer
from elt_env.lockfile.document import Lock
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored
from elt_env.store.documents import Documents, read_record, record_names, write_record
from elt_env.store.last_use import mark_used
from elt_env.store.local import LocalDocuments
from elt_env.store.locks import Store

_IMAGES = "images"
_RECORDING = 120.0  # seconds
_WAIT = "Wait for it or end it, then run the same command; or raise busy-limit."
_record: TypeAdapter[ImageRecord] = TypeAdapter(ImageRecord)
_layer: TypeAdapter[PackedLayer] = TypeAdapter(PackedLayer)
_layers: TypeAdapter[PrefixLayers] = TypeAdapter(PrefixLayers)


class ImageStore:
    """The images of a store.

    Which image was packed for a lock is a document. The layout, SBOMs, layers and bases are files
    of this machine, and so is the mark of when an image was used last, by which it is collected:
    a copy of the record, where that is a document of several machines.
    """

    def __init__(self, store: Store) -> None:
        self._documents = store.documents
        self._home = store.local_home
        self._here = LocalDocuments(store.local_home)
        self._shared = store.shared
        self.layout = Layout(self._home / "oci")

    @property
    def bases(self) -> Path:
        """Where the bases keep what they made."""
        return self._home / "bases"

    @property
    def roots(self) -> Path:
        """Where images are unpacked."""
        return self._home / "roots"

    def record(self, image: ImageRecord, lock_digest: str) -> None:
        """Keep which image was packed for that lock.

        Raises:
            StorageError: the disk is full or not writable.
        """
        key = _record_key(lock_digest)
        with sole_recorder(self._documents) if self._shared else contextlib.nullcontext():
            write_record(self._documents, key, _record, image)
        if self._shared:
            write_record(self._here, key, _record, image)

    def lead_names(self, image: ImageRecord, lock_digest: str) -> None:
        """Let the names of an image's target lead to it, and to its SBOM where that is whole.

        Raises:
            IntegrityError: the index cannot be read.
            StorageError: the disk is full or not writable.
        """
        self.layout.name(image.name, image.manifest)
        sbom = self.sbom(image, lock_digest)
        if sbom is not None:
            attach(self.layout, image.manifest, sbom, name=sbom_name(image.name))

    def sbom(self, image: ImageRecord, lock_digest: str) -> bytes | None:
        """Return the SBOM of that lock's image as it was noted; None where it is not whole."""
        path = self.sbom_path(lock_digest)
        if image.sbom is None or file_fault(path, image.sbom.digest):
            return None
        return read_stored(path)

    def image(self, lock_digest: str, *, use: bool = True) -> ImageRecord | None:
        """Return the image that was packed for that lock; None when there is none.

        With `use`, it is marked as used now.

        Raises:
            IntegrityError: the record cannot be read.
        """
        if use:
            mark_used(self._record_path(lock_digest))
        found = self._read(self._documents, lock_digest)
        # A machine has its own where that of all was collected.
        return self._read(self._here, lock_digest) if found is None and self._shared else found

    @staticmethod
    def _read(documents: Documents, lock_digest: str) -> ImageRecord | None:
        return read_record(
            documents,
            _record_key(lock_digest),
            _record,
            "{} does not say which image was packed.",
            "Remove that file and pack the image again: elt-env image TARGET",
        )

    def is_here(self, lock_digest: str) -> bool:
        """Tell whether the image of that lock was packed on this machine."""
        return self._record_path(lock_digest).exists()

    def locks(self) -> tuple[str, ...]:
        """Return the digests of the locks that have an image on this machine."""
        names = record_names(self._here, _IMAGES)
        return tuple(f"sha256:{each}" for each in names if "." not in each)

    def records(self) -> tuple[ImageRecord, ...]:
        """Return what is known of every image; a record that cannot be read is left out."""
        found = []
        for digest in self.locks():
            with contextlib.suppress(IntegrityError):
                image = self.image(digest, use=False)
                found += [image] if image else []
        return tuple(found)

    def record_files(self, lock_digest: str) -> tuple[Path, ...]:
        """Return the files that are kept of a lock's image beside its blobs, the record first."""
        path = self._record_path(lock_digest)
        beside = (path.with_suffix(each) for each in (".layers.json", ".lock"))
        return (path, self.sbom_path(lock_digest), *beside)

    def remembered_layers(self) -> tuple[tuple[Path, str], ...]:
        """Return the files that remember layers, with the digests of their blobs."""
        found = []
        for path in sorted((self._home / "layers").glob("[!.]*.json")):
            with contextlib.suppress(OSError, ValidationError):
                found.append((path, _layer.validate_json(read_stored(path)).layer.blob.digest))
        return tuple(found)

    def base_records(self) -> tuple[Path, ...]:
        """Return the files that remember bases."""
        found = sorted(self.bases.glob("[!.]*.json"))
        return tuple(each for each in found if not each.name.startswith("needs-"))

    def sbom_path(self, lock_digest: str) -> Path:
        """Return where the SBOM of that lock's image is, as a file of CycloneDX."""
        return self._record_path(lock_digest).with_suffix(".cdx.json")

    def _record_path(self, lock_digest: str) -> Path:
        return self._home / _record_key(lock_digest)

    def keep_layer(self, key: str, layer: Layer) -> None:
        """Remember that `layer`, just written, is the answer to `key`.

        Raises:
            StorageError: the disk is full or not writable.
        """
        packed = PackedLayer(key, layer, self._seen(layer.blob))
        write_atomically(self._layer_path(key), _layer.dump_json(packed) + b"\n")

    def known_layer(self, key: str) -> Layer | None:
        """Return the layer that answers `key` when its blob is there as it was written.

        A blob whose file was touched since is read whole; what has another digest is not returned.
        """
        mark_used(self._layer_path(key))
        try:
            packed = _layer.validate_json(read_stored(self._layer_path(key)))
            untouched = self._seen(packed.layer.blob) == packed.seen
        except (OSError, ValidationError):
            return None
        if untouched and self.layout.has(packed.layer.blob):
            return packed.layer
        if not self.layout.intact(packed.layer.blob):
            return None
        self.keep_layer(key, packed.layer)
        return packed.layer

    def keep_layers(self, lock_digest: str, question: str, layers: dict[str, str]) -> None:
        """Remember that the layers with those keys, and what each holds, answer `question`.

        Raises:
            StorageError: the disk is full or not writable.
        """
        answer = _layers.dump_json(PrefixLayers(question, layers)) + b"\n"
        write_atomically(self._layers_path(lock_digest), answer)

    def known_layers(self, lock_digest: str, question: str) -> tuple[Layer, ...] | None:
        """Return the layers that answer `question`, as of `known_layer`; None where one is not."""
        try:
            kept = _layers.validate_json(read_stored(self._layers_path(lock_digest)))
        except (OSError, ValidationError):
            return None
        found = []
        for key, holds in kept.layers.items() if kept.question == question else ():
            layer = self.known_layer(key)
            if layer is None:
                return None
            found.append(replace(layer, holds=holds))
        return tuple(found) or None

    def _layers_path(self, lock_digest: str) -> Path:
        return self._record_path(lock_digest).with_suffix(".layers.json")

    def _layer_path(self, key: str) -> Path:
        return self._home / "layers" / f"{key.removeprefix('sha256:')}.json"

    def _seen(self, blob: Descriptor) -> FileState:
        return FileState.of(self.layout.blob_path(blob.digest))

    @contextlib.contextmanager
    def sole_packer(self, lock_digest: str, limit: float) -> Iterator[None]:
        """Let one packer of a lock's image at a time into the block; the others wait.

        Raises:
            BusyError: another one is still at work after `limit` seconds.
        """
        path = self._record_path(lock_digest).with_suffix(".lock")
        with file_lock(path, limit, "packing this image", _WAIT):
            yield


def sole_recorder(documents: Documents) -> AbstractContextManager[None]:
    """Let one machine at a time write or remove records of images, which others share.

    A bucket removes without a condition: what was just written anew would go as well.

    Raises:
        BusyError: another one does so for long.
    """
    doing, remedy = "writing which images were packed", "Run the same command again."
    return documents.lease(f"{_IMAGES}/records", _RECORDING, doing, remedy)


def _record_key(lock_digest: str) -> str:
    return f"{_IMAGES}/{lock_digest.removeprefix('sha256:')}.json"


def require_image(lock: Lock, images: ImageStore) -> ImageRecord:
    """Return the image of a lock.

    Raises:
        ToolError: it was not packed yet.
    """
    image = images.image(lock.digest)
    if image is None:
        raise ToolError(
            f"There is no image of {lock.target.name} with the lock {lock.digest}.",
            f"Pack it: elt-env image {lock.target.name}",
        )
    return image
