"""Manifests in a registry: put there, read back, listed as referrers, and chosen by platform.

OCI Distribution Specification 1.1.
"""

from __future__ import annotations

import httpx

from elt_env.errors import IntegrityError, RegistryError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry_client import Answer, RegistryClient
from elt_env.image.oci.registry_errors import nonsense
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor, Manifest
from elt_env.runtime.limits import load_json

_LISTS = (oci.INDEX, oci.DOCKER_LIST)
_IMAGES = (oci.MANIFEST, oci.DOCKER_MANIFEST)
_ACCEPT = {"Accept": ", ".join((*_IMAGES, *_LISTS))}
_NESTED = 3


def put_manifest(client: RegistryClient, version: str, media_type: str, data: bytes) -> Answer:
    """Have the bytes of a manifest in the repository under a tag or its digest.

    Raises:
        RegistryError, InputError, TimeLimitError: the registry refuses it or cannot be reached.
    """
    answer = client.request(
        "PUT", f"manifests/{version}", headers={"Content-Type": media_type}, data=data
    )
    if answer.status not in (httpx.codes.CREATED, httpx.codes.OK, httpx.codes.ACCEPTED):
        raise client.refusal(answer)
    return answer


def require_same(client: RegistryClient, version: str, digest: str) -> None:
    """Compare what the registry has under a tag or digest with what was pushed.

    Raises:
        IntegrityError: it is something else.
        RegistryError, TimeLimitError: it cannot be read.
    """
    answer = client.request("GET", f"manifests/{version}", headers=_ACCEPT)
    if answer.status != httpx.codes.OK:
        raise client.refusal(answer)
    found = oci.describe(answer.body, "").digest
    if found != digest:
        raise IntegrityError(
            f"{client.repository}:{version} is {found} after {digest} was pushed: the registry "
            "has changed the manifest, or somebody else has pushed to the same tag.",
            "Push again; if it stays so, push to a registry that keeps manifests as they are.",
        )


def put_referrer(
    client: RegistryClient, layout: Layout, descriptor: Descriptor, manifest: Manifest
) -> None:
    """Push an artifact, and list it among its subject's referrers where the registry does not.

    "Pushing Manifests with Subject", Distribution Specification 1.1.

    Raises:
        RegistryError, TimeLimitError: the registry refuses it or cannot be reached.
    """
    answer = put_manifest(client, descriptor.digest, descriptor.media_type, layout.read(descriptor))
    if manifest.subject is None or "OCI-Subject" in answer.headers:
        return
    tag = manifest.subject.digest.replace(":", "-")  # "Referrers Tag Schema"
    found = client.request("GET", f"manifests/{tag}", headers={"Accept": oci.INDEX})
    if found.status not in (httpx.codes.OK, httpx.codes.NOT_FOUND):
        raise client.refusal(found)
    index = _index(found.body) if found.status == httpx.codes.OK else {}
    listed = [*index.get("manifests", ()), _listing(descriptor, manifest)]
    if descriptor.digest in (each.get("digest") for each in listed[:-1]):
        return
    content = {"schemaVersion": 2, "mediaType": oci.INDEX, **index, "manifests": listed}
    put_manifest(client, tag, oci.INDEX, oci.encode(content))


def _listing(descriptor: Descriptor, manifest: Manifest) -> dict[str, object]:
    """Return an artifact as the list of referrers has it."""
    listed = Descriptor(
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        manifest.annotations,
        manifest.artifact_type or manifest.config.media_type,
    )
    return listed.to_json()


def _index(data: bytes) -> dict[str, list[dict[str, object]]]:
    """Return an index of referrers as it is; anything else is none."""
    try:
        oci.parse_index(data)
        content: dict[str, list[dict[str, object]]] = load_json(data)
    except ValueError:
        return {}
    return content


def image_manifest(
    client: RegistryClient, reference: Reference, platform: tuple[str, str]
) -> tuple[str, bytes]:
    """Return media type and bytes of the manifest, chosen by platform where there are several.

    Raises:
        IntegrityError: it is not what its digest says.
        RegistryError, TimeLimitError: it is not there, or cannot be read.
    """
    version = reference.version
    for _ in range(_NESTED):
        media_type, data = get_manifest(client, reference.at(version))
        if media_type not in _LISTS:
            return media_type, data
        version = _choose(data, platform, reference)
    raise nonsense(str(reference), "its indexes have no end")


def get_manifest(client: RegistryClient, reference: Reference) -> tuple[str, bytes]:
    """Return media type and bytes of a manifest, of an image or of several. Raises the same."""
    answer = client.request("GET", f"manifests/{reference.version}", headers=_ACCEPT)
    if answer.status != httpx.codes.OK:
        raise client.refusal(answer)
    found = oci.describe(answer.body, "").digest
    promised = reference.digest or answer.headers.get("Docker-Content-Digest", found)
    if promised.startswith("sha256:") and found != promised:
        raise IntegrityError(
            f"The manifest of {reference} is {found}, but the registry calls it {promised}.",
            "Do not use this image; have it pushed again from where it was made.",
        )
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type not in (*_IMAGES, *_LISTS):
        raise RegistryError(
            f"{reference} is no image of OCI or of Docker's schema 2, but '{media_type[:100]}'.",
            "Name an image; one in an older format has to be pushed anew by a newer tool.",
        )
    return media_type, answer.body


def _choose(data: bytes, platform: tuple[str, str], reference: Reference) -> str:
    """Return the digest of the manifest for a platform."""
    try:
        listed = oci.parse_index(data)
    except ValueError as error:
        raise nonsense(str(reference), f"its index is {error}") from error
    for each in listed:
        if each.platform == platform:
            return each.digest
    there = ", ".join(sorted("/".join(each.platform) for each in listed if each.platform))
    raise RegistryError(
        f"{reference} has no image for {'/'.join(platform)}, only for: {there or 'none named'}.",
        "Name an image that was made for this platform.",
    )
