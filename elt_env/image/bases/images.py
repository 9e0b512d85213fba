"""The layers of an image that somebody else made, as a base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from elt_env.errors import InputError, PolicyError
from elt_env.image import spec as oci
from elt_env.image.bases.base import Base, BuiltBase, Kind, Request
from elt_env.image.bases.users import user_layer
from elt_env.image.oci.layout import Layout
from elt_env.image.reference import Reference, parse_reference
from elt_env.image.spec import Descriptor, ImageConfig, Layer, Manifest
from elt_env.machine.process import Say

Read = Callable[[Descriptor], bytes]
"""Returns the content of a small blob, which has the digest that the descriptor names."""

_INDEXES = frozenset({oci.INDEX, oci.DOCKER_LIST})
_MEDIA_TYPES = {
    oci.LAYER: oci.LAYER,
    oci.LAYER_GZIP: oci.LAYER_GZIP,
    oci.LAYER_ZSTD: oci.LAYER_ZSTD,
    oci.DOCKER_LAYER_GZIP: oci.LAYER_GZIP,
}
_OTHER = "Set image-base to an image for this platform."


def layers_of(
    start: Descriptor, read: Read, platform: str, name: str
) -> tuple[ImageConfig, tuple[Layer, ...]]:
    """Return the config and the layers of the image that `start` names, of an index ours.

    Args:
        start: of a manifest or of an index.
        read: where the blobs are.
        platform: the conda platform it has to be made for.
        name: what a person calls the image.

    Raises:
        PolicyError: it is no image, or one for another platform.
    """
    architecture = oci.architecture(platform)
    try:
        manifest, config = _image(start, read, architecture, name)
    except ValueError as error:
        raise PolicyError(f"{name} is not an image: {error}.", _OTHER) from error
    if config.architecture != architecture:
        raise PolicyError(
            f"{name} is for {config.architecture}; the environment is for {architecture}.", _OTHER
        )
    unknown = {each.media_type for each in manifest.layers} - set(_MEDIA_TYPES)
    if unknown or len(manifest.layers) != len(config.diff_ids):
        kind = ", ".join(sorted(unknown)) or "its config names other layers than its manifest"
        raise PolicyError(f"{name} has layers that no image can stand on: {kind}.", _OTHER)
    return config, tuple(
        Layer(
            replace(blob, media_type=_MEDIA_TYPES[blob.media_type], annotations={}), diff_id, holds
        )
        for blob, diff_id, holds in zip(manifest.layers, config.diff_ids, config.holds, strict=True)
    )


def _image(
    start: Descriptor, read: Read, architecture: str, name: str
) -> tuple[Manifest, ImageConfig]:
    if start.media_type in _INDEXES:
        listed = oci.parse_index(read(start))
        wanted = ("linux", architecture)
        mine = [each for each in listed if each.platform == wanted]
        if not mine and len(listed) == 1 and listed[0].platform is None:
            mine = list(listed)
        if not mine:
            known = sorted({"/".join(each.platform) for each in listed if each.platform})
            raise PolicyError(
                f"{name} has no image for {'/'.join(wanted)}, only for "
                f"{', '.join(known) or 'none'}.",
                _OTHER,
            )
        return _image(mine[0], read, architecture, name)
    manifest = oci.parse_manifest(read(start))
    return manifest, oci.parse_config(read(manifest.config))


def base_of(
    kind: Kind,
    said: str,
    layers: tuple[Layer, ...],
    env: tuple[str, ...],
    request: Request,
) -> Base:
    """Return the base of layers whose blobs are in the layout, with the user `elt`.

    Raises:
        IntegrityError: a layer is no tar archive, or not what its config says.
        StorageError: the disk is full or not writable.
    """
    named = tuple(replace(each, holds=f"base: {each.holds}"[:200].strip()) for each in layers)
    return Base(kind, said, (*named, *user_layer(layers, request)), env)


class Pull(Protocol):
    """Gets an image of a registry, as `Registry.pull` does."""

    def __call__(
        self, reference: Reference, layout: Layout, say: Say, *, platform: tuple[str, str]
    ) -> Descriptor:
        """Have the image in the layout, verified; return its manifest."""


def reference_in(wanted: str) -> Reference | None:
    """Return the image of a registry that `wanted` names; None if it is written otherwise.

    Raises:
        PolicyError: it is meant as one, but malformed or not pinned by digest.
    """
    if wanted.startswith((".", "/")):
        return None
    try:
        reference = parse_reference(wanted)
    except InputError as error:
        if "@" not in wanted:
            return None
        raise PolicyError(f"image-base: {error.problem}", error.remedy) from error
    if reference.digest is None:
        raise PolicyError(
            f"The image-base '{wanted}' is no file here, and as an image of a registry it is not "
            "pinned by digest, so that it could be another one tomorrow.",
            f'Write its digest: image-base = "{reference}@sha256:..."; '
            f"skopeo inspect --format '{{{{.Digest}}}}' docker://{reference} tells it.",
        )
    return reference


def from_registry(reference: Reference, pull: Pull, request: Request) -> BuiltBase:
    """Take an image of a registry as a base; its layers keep their bytes.

    Raises:
        PolicyError: it is no image, or one for another platform.
        IntegrityError: what was pulled is not what the reference names.
        StorageError: the disk is full or not writable.
        And what `pull` raises.
    """
    layout, name = request.layout, str(reference)
    ours = ("linux", oci.architecture(request.platform))
    start = pull(reference, layout, request.say, platform=ours)
    config, layers = layers_of(start, layout.read, request.platform, name)
    return BuiltBase(base_of("registry", f"the image {name}", layers, config.env, request))
