"""Images of a few layers with random content, which no compression makes smaller."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from elt_env.image import spec as oci
from elt_env.image.oci.layer import LayerWriter, write_layer
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, ImageConfig, Layer, Manifest


def random_layer(layout: Layout, size: int, seed: int) -> Layer:
    """Write a layer with one file of `size` bytes, always the same ones for a seed."""
    data = random.Random(seed).randbytes(size)  # noqa: S311  # the same for a seed

    def fill(layer: LayerWriter) -> None:
        layer.file(f"opt/file-{seed}", data)

    return write_layer(layout, "gzip", f"file {seed}", fill)


def make_image(
    layout: Layout,
    layers: Sequence[Layer],
    name: str = "sample",
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Descriptor:
    """Write an image of those layers; return its manifest."""
    config = ImageConfig(
        "amd64",
        "1980-01-01T00:00:00Z",
        diff_ids=tuple(each.diff_id for each in layers),
        holds=tuple(each.holds for each in layers),
        labels=labels,
    )
    manifest = Manifest(
        layout.add(config.to_bytes(), oci.CONFIG), tuple(each.blob for each in layers)
    )
    made = layout.add(manifest.to_bytes(), oci.MANIFEST)
    layout.name(name, made)
    return made


def random_image(path: Path, *sizes: int) -> tuple[Layout, Descriptor]:
    """Write an image with a layer of each size into a new layout."""
    layout = Layout(path)
    layers = [random_layer(layout, size, seed) for seed, size in enumerate(sizes)]
    return layout, make_image(layout, layers)
