"""Bases that lie in a registry."""

from __future__ import annotations

from typing import Protocol

from elt_env.errors import InputError, PolicyError
from elt_env.image import spec as oci
from elt_env.image.bases.base import BuiltBase, Request
from elt_env.image.bases.images import base_of, layers_of
from elt_env.image.oci.layout import Layout
from elt_env.image.reference import Reference, parse_reference
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say


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
