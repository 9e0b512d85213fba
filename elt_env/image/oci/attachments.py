"""Attachments of an image, which are no part of it, such as its SBOM."""

from __future__ import annotations

from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, Manifest


def attachment(
    subject: Descriptor, content: bytes, artifact_type: str = oci.SBOM
) -> tuple[Manifest, Descriptor]:
    """Return the manifest of `content` as an artifact that refers to an image, and what it is.

    It has an empty config and one layer, which registries list among the image's referrers
    (manifest.md, "Guidelines for Artifact Usage"). The image itself does not change.
    """
    manifest = Manifest(
        config=oci.describe(b"{}", oci.EMPTY),
        layers=(oci.describe(content, artifact_type),),
        artifact_type=artifact_type,
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
    )
    return manifest, oci.describe(manifest.to_bytes(), oci.MANIFEST, artifact_type=artifact_type)


def attach(
    layout: Layout,
    subject: Descriptor,
    content: bytes,
    *,
    name: str,
    artifact_type: str = oci.SBOM,
) -> Descriptor:
    """Return the manifest of `content`, kept in the layout under `name` and referring to an image.

    Args:
        layout: where the image is and the artifact will be.
        subject: the image's manifest.
        content: what is attached.
        name: of the artifact in the layout, as in `elt-3.11.sbom`.
        artifact_type: what `content` is, as a media type.

    Raises:
        IntegrityError: the layout's index cannot be read.
        StorageError: the disk is full or not writable.
    """
    manifest, entry = attachment(subject, content, artifact_type)
    layout.add(b"{}", oci.EMPTY)
    layout.add(content, artifact_type)
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
