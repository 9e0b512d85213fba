"""Small images of samples, and looks into them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import zstandard

from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.record import ImageRecord
from elt_env.image.spec import Layer

_USERS = "root:x:0:0:root:/root:/bin/sh\nelt:x:1000:1000:elt:/home/elt:/bin/sh\n"


def make_root_tar(path: Path) -> Path:
    """Write a root file system with users and nothing else, the smallest base; return its path."""
    with tarfile.open(path, "w") as archive:
        for name, text in {"etc/passwd": _USERS, "etc/group": "elt:x:1000:\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


def entries(layout: Layout, layer: Layer) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """Return every entry of a zstd layer by name, with the content of files."""
    data = layout.read(layer.blob)
    tar = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {each.name: (each, _content(archive, each)) for each in archive}


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry) if entry.isreg() else None
    return file.read() if file else b""


def content_of(layout: Layout, image: ImageRecord) -> dict[str, bytes]:
    """Return the files of an image's own layers by path."""
    found: dict[str, bytes] = {}
    for layer in image.layers:
        if layer.blob.media_type == oci.LAYER_ZSTD:
            found |= {
                name: data for name, (info, data) in entries(layout, layer).items() if info.isreg()
            }
    return found


def blobs(layout: Layout) -> Iterator[Path]:
    """Yield the files of all blobs, half ones among them."""
    yield from (each for each in (layout.path / "blobs").rglob("*") if each.is_file())
