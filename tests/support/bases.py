"""Roots and images that others might have made, and a look at what a base consists of."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from elt_env.image import spec as oci
from elt_env.image.bases import Base
from elt_env.image.oci.layer import LayerWriter, write_layer
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import layer_content
from elt_env.image.spec import Descriptor, ImageConfig, Layer, Manifest

Files = Mapping[str, bytes]

# The head of an ELF file, as far as it names the machine: elf(5).
X86_64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0"
ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\xb7\0"


def tar_of(files: Files) -> bytes:
    """Return a tar archive of files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def make_layer(layout: Layout, files: Files) -> Layer:
    """Keep a layer of files in a layout."""

    def fill(layer: LayerWriter) -> None:
        for name, data in files.items():
            layer.file(name, data)

    return write_layer(layout, "gzip", "something", fill)


def make_image(
    layout: Layout,
    layers: Sequence[Files],
    *,
    architecture: str = "amd64",
    env: Sequence[str] = (),
) -> Descriptor:
    """Keep an image of such layers in a layout, without a name; return its manifest."""
    made = [make_layer(layout, each) for each in layers]
    config = ImageConfig(
        architecture,
        "1980-01-01T00:00:00Z",
        env=tuple(env),
        diff_ids=tuple(each.diff_id for each in made),
        holds=tuple(each.holds for each in made),
    )
    described = layout.add(config.to_bytes(), oci.CONFIG)
    manifest = Manifest(described, tuple(each.blob for each in made))
    return layout.add(manifest.to_bytes(), oci.MANIFEST)


def unpack(base: Base, layout: Layout, root: Path) -> Path:
    """Unpack the layers of a base on top of each other, owners left aside; return `root`."""
    for layer in base.layers:
        with layer_content(layout, layer) as archive:
            for each in archive:
                each.uid = each.gid = 0
                archive.extract(each, root, filter="fully_trusted")
    return root


def members(base: Base, layout: Layout) -> dict[str, tarfile.TarInfo]:
    """Return the entries of all layers of a base by name."""
    found = {}
    for layer in base.layers:
        with layer_content(layout, layer) as archive:
            found.update({each.name: each for each in archive})
    return found


def damage(path: Path) -> None:
    """Change a byte in the middle of a file; its size stays."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
