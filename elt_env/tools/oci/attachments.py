"""What belongs to an image without being part of it, such as its SBOM."""

from __future__ import annotations

from elt_env.model import oci
from elt_env.model.oci import Descriptor, Manifest
from elt_env.tools.oci.layout import Layout


def attach(
    layout: Layout,
    subject: Descriptor,
    content: bytes,
    *,
    name: str,
    artifact_type: str = oci.SBOM,
) -> Descriptor:
    """Return the manifest of `content`, kept in the layout under `name` and referring to an image.

    It is an artifact with an empty config and one layer, which registries list among the image's
    referrers (manifest.md, "Guidelines for Artifact Usage"). The image itself does not change.

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
    manifest = Manifest(
        config=layout.add(b"{}", oci.EMPTY),
        layers=(layout.add(content, artifact_type),),
        artifact_type=artifact_type,
        subject=Descriptor(subject.media_type, subject.digest, subject.size),
    )
    data = manifest.to_bytes()
    layout.add(data, oci.MANIFEST)
    attached = oci.describe(data, oci.MANIFEST, artifact_type=artifact_type)
    layout.name(name, attached)
    return attached


def attached(layout: Layout, subject: Descriptor, name: str) -> Descriptor | None:
    """Return the artifact of that name when it is there whole and refers to `subject`."""
    known = layout.find(name)
    if known is None or not layout.intact(known):
        return None
    manifest = oci.parse_manifest(layout.read(known))
    refers = manifest.subject is not None and manifest.subject.digest == subject.digest
    return known if refers and all(map(layout.has, manifest.layers)) else None
