"""Reads images of a layout: what they consist of, and what is in their layers."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

import zstandard

from elt_env.errors import IntegrityError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, ImageConfig, Layer
from elt_env.runtime.files import writing
from elt_env.runtime.input_files import open_file

_PIECE = 1 << 20
_AGAIN = "Pack the image again: elt-env image TARGET"


@dataclass(frozen=True)
class Image:
    """An image of a layout.

    Attributes:
        layers: from the lowest.
    """

    manifest: Descriptor
    config: ImageConfig
    layers: tuple[Layer, ...]


def read_image(layout: Layout, manifest: Descriptor) -> Image:
    """Return what the manifest of an image and its config say.

    Raises:
        IntegrityError: one of the two is gone, changed or malformed, or they contradict each
            other about the layers (config.md, rootfs).
    """
    try:
        content = oci.parse_manifest(layout.read(manifest))
        config = oci.parse_config(layout.read(content.config))
    except ValueError as error:
        raise IntegrityError(f"The image {manifest.digest}: {error}.", _AGAIN) from error
    if len(content.layers) != len(config.diff_ids):
        raise IntegrityError(
            f"The image {manifest.digest} has {len(content.layers)} layers, but its config "
            f"lists {len(config.diff_ids)}.",
            _AGAIN,
        )
    parts = zip(content.layers, config.diff_ids, config.holds, strict=True)
    return Image(manifest, config, tuple(Layer(*each) for each in parts))


def single_image(layout: Layout, manifest: Descriptor, name: str, place: Path) -> Path:
    """Return `place`, which is then a layout of that image alone, under `name`.

    Its blobs are links to those of `layout`.

    Raises:
        IntegrityError: the manifest is gone, changed or malformed.
        StorageError: the disk is full or not writable.
    """
    one = Layout(place)
    image = oci.parse_manifest(layout.read(manifest))
    with writing(place):
        one.blob_path(manifest.digest).parent.mkdir(parents=True)
        for each in {manifest.digest, image.config.digest, *(x.digest for x in image.layers)}:
            one.blob_path(each).symlink_to(layout.blob_path(each).resolve())
    one.name(name, manifest)
    return place


@contextlib.contextmanager
def layer_content(layout: Layout, layer: Layer) -> Iterator[tarfile.TarFile]:
    """Yield the tar of a layer, to be read once and forward.

    After the block all of it was read, and had the layer's diff_id.

    Raises:
        IntegrityError: its blob is gone, damaged, no tar, or has another diff_id.
    """
    path = layout.blob_path(layer.blob.digest)
    try:
        with open_file(path) as file:
            stream = _Hashed(_decompressed(layer.blob, file), f"The layer {path}")
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:
                yield tar
            found = stream.drain()
    except FileNotFoundError as error:
        if error.filename == str(path):
            raise IntegrityError(f"The layer {path} is gone.", _AGAIN) from error
        raise
    except tarfile.TarError as error:
        raise IntegrityError(f"The layer {path} is no whole tar: {error}.", _AGAIN) from error
    if found != layer.diff_id:
        raise IntegrityError(
            f"The layer {path} unpacks to {found}; its config says {layer.diff_id}.", _AGAIN
        )


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


_FORMS: dict[str, Callable[[IO[bytes]], _Readable]] = {
    oci.LAYER: lambda file: file,
    oci.LAYER_GZIP: lambda file: gzip.GzipFile(fileobj=file),
    oci.DOCKER_LAYER_GZIP: lambda file: gzip.GzipFile(fileobj=file),
    oci.LAYER_ZSTD: lambda file: zstandard.ZstdDecompressor().stream_reader(
        file, read_across_frames=True
    ),
}

LAYER_TYPES = frozenset(_FORMS)
"""The media types of layers that can be read."""


def _decompressed(blob: Descriptor, file: IO[bytes]) -> _Readable:
    if blob.media_type not in _FORMS:
        raise IntegrityError(
            f"The layer {blob.digest} is a {blob.media_type}, which cannot be unpacked.",
            "Use a base whose layers are tar, gzip or zstd.",
        )
    return _FORMS[blob.media_type](file)


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, source: _Readable, name: str) -> None:
        self._source = source
        self._name = name
        self._hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        try:
            data = self._source.read(size)
        except (zstandard.ZstdError, zlib.error, EOFError, OSError) as error:
            raise IntegrityError(f"{self._name} is damaged: {error}.", _AGAIN) from error
        self._hash.update(data)
        return data

    def drain(self) -> str:
        """Read what is left; return the digest of the whole."""
        while self.read(_PIECE):
            pass
        return "sha256:" + self._hash.hexdigest()
