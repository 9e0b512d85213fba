"""The SBOM of an image, attached to it and no part of it."""

from __future__ import annotations

from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, Manifest


def attachment(subject: Descriptor, content: bytes) -> tuple[Manifest, Descriptor]:
    """Return the manifest of an SBOM as an artifact that refers to an image, and what it is.

    It has an empty config and one layer, which registries list among the image's referrers
    (manifest.md, "Guidelines for Artifact Usage"). The image itself does not change.
    """
    manifest = Manifest(
        config=oci.describe(b"{}", oci.EMPTY),
        layers=(oci.describe(content, oci.SBOM),),
        artifact_type=oci.SBOM,
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
    )
    return manifest, oci.describe(manifest.to_bytes(), oci.MANIFEST, artifact_type=oci.SBOM)


def attach(layout: Layout, subject: Descriptor, content: bytes, *, name: str) -> Descriptor:
    """Return the manifest of an SBOM, kept in the layout under `name` and referring to an image.

    Args:
        layout: where the image is and the artifact will be.
        subject: the image's manifest.
        content: what is attached.
        name: of the artifact in the layout, as in `elt-3.11.sbom`.

    Raises:
        IntegrityError: the layout's index cannot be read.
        StorageError: the disk is full or not writable.
    """
    manifest, entry = attachment(subject, content)
    layout.add(b"{}", oci.EMPTY)
    layout.add(content, oci.SBOM)
    layout.add(manifest.to_bytes(), oci.MANIFEST)
    layout.name(name, entry)
    return entry


def attached(layout: Layout, subject: Descriptor, name: str) -> Descriptor | None:
    """Return the artifact of that name when it is there whole and refers to `subject`."""
    known = layout.find(name)
    if known is None or not layout.intact(known):
        return None
    manifest = oci.parse_manifest(layout.read(known))
    refers = manifest.subject is not None and manifest.subject.digest == subject.digest
    return known if refers and all(map(layout.has, manifest.layers)) else None
