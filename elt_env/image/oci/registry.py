"""Pushes images of a layout to registries, and pulls them from there.

The protocol is the OCI Distribution Specification 1.1. What is sent are the layout's own bytes, so
that an image has the same digest here and there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import httpx

from elt_env.errors import IntegrityError, RegistryError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry_blobs import fetch_blob, send_blob
from elt_env.image.oci.registry_client import Answer, Effort, RegistryClient, connected
from elt_env.image.oci.registry_errors import nonsense
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor, Manifest
from elt_env.machine.process import Say
from elt_env.runtime.cancelling import side_by_side
from elt_env.runtime.limits import load_json

_AT_ONCE = 3
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


@dataclass(frozen=True)
class PushResult:
    """What a push did.

    Attributes:
        digest: of the image, in the registry as in the layout.
        blobs_sent: how many blobs were not there.
        bytes_sent: their size.
        blobs_there: how many were.
    """

    digest: str
    blobs_sent: int
    bytes_sent: int
    blobs_there: int


@dataclass(frozen=True)
class Registry:
    """How registries are spoken to.

    Attributes:
        insecure: hosts, with or without port, that may be spoken to without TLS; those on
            loopback always may be.
        limit: seconds that one push or pull may take.
        backoff: seconds before a request is tried again; they double with every further attempt.
    """

    insecure: tuple[str, ...] = ()
    limit: float = 1800.0
    backoff: float = 0.5

    def push(  # noqa: PLR0913  # what, from where, to where, under which names
        self,
        image: Descriptor,
        layout: Layout,
        reference: Reference,
        tags: Sequence[str],
        say: Say,
        *,
        referrers: Iterable[Descriptor] = (),
    ) -> PushResult:
        """Have an image in a repository, under each of the tags.

        Blobs that are there are not sent. Tags move when everything they need is there, and are
        read back. Without tags the image can be had by its digest alone.

        Args:
            image: the manifest in the layout.
            layout: where it is, with all its blobs.
            reference: the repository; its tag and digest do not matter.
            tags: the names it gets.
            say: told of progress.
            referrers: manifests of the layout whose subject is the image, such as its SBOM.

        Raises:
            IntegrityError: a blob is gone or damaged, or the registry has changed the image.
            RegistryError: the registry cannot be reached, or refuses; what was sent stays there.
            InputError: it takes no repository of that name.
            TimeLimitError: it took longer than `limit`.
        """
        manifests = [(each, _manifest(layout, each)) for each in (image, *referrers)]
        blobs = {blob.digest: blob for _, each in manifests for blob in (*each.layers, each.config)}
        effort = self._effort("pushing to", reference, say)
        with connected(reference, "pull,push", self.insecure, effort) as client:
            send = partial(send_blob, client, layout, say)
            sent = side_by_side(send, blobs.values(), _AT_ONCE)
            for version in tags or [image.digest]:
                put_manifest(client, version, image.media_type, layout.read(image))
                require_same(client, version, image.digest)
            for each, manifest in manifests[1:]:
                put_referrer(client, layout, each, manifest)
        fresh = [blob.size for blob, was_sent in zip(blobs.values(), sent, strict=True) if was_sent]
        return PushResult(image.digest, len(fresh), sum(fresh), len(blobs) - len(fresh))

    def pull(
        self,
        reference: Reference,
        layout: Layout,
        say: Say,
        *,
        platform: tuple[str, str] = ("linux", "amd64"),
    ) -> Descriptor:
        """Have an image of a registry in the layout, without a name; return its manifest.

        Blobs that are there are not fetched; all are compared with their digests.

        Args:
            reference: the image; a digest wins over a tag.
            layout: where it will be.
            say: told of progress.
            platform: operating system and architecture, to choose from an index.

        Raises:
            IntegrityError: the registry has other bytes than a digest says.
            RegistryError: there is no such image, or none for the platform; the registry cannot
                be reached, or refuses.
            TimeLimitError: it took longer than `limit`.
            StorageError: the disk is full or not writable.
        """
        effort = self._effort("pulling from", reference, say)
        with connected(reference, "pull", self.insecure, effort) as client:
            media_type, data = image_manifest(client, reference, platform)
            manifest = _parsed(data, str(reference))
            blobs = {each.digest: each for each in (*manifest.layers, manifest.config)}
            side_by_side(partial(fetch_blob, client, layout, say), blobs.values(), _AT_ONCE)
        return layout.add(data, media_type)

    def tag(self, reference: Reference, tag: str, say: Say) -> None:
        """Let a tag name an image that is in the repository; only its manifest is sent.

        Args:
            reference: the image, by its digest.
            tag: what it is to be named.
            say: told of progress.

        Raises: as `push`; RegistryError also when the image is not there.
        """
        effort = self._effort("tagging in", reference, say)
        with connected(reference, "pull,push", self.insecure, effort) as client:
            media_type, data = get_manifest(client, reference)
            put_manifest(client, tag, media_type, data)
            require_same(client, tag, oci.describe(data, media_type).digest)

    def _effort(self, doing: str, reference: Reference, say: Say) -> Effort:
        what = f"{doing} {reference.registry}/{reference.repository}"
        return Effort(what, reference.registry, self.limit, self.backoff, say)


def _manifest(layout: Layout, descriptor: Descriptor) -> Manifest:
    try:
        return oci.parse_manifest(layout.read(descriptor))
    except ValueError as error:
        raise IntegrityError(
            f"{descriptor.digest} is no manifest of an image: {error}.",
            "Pack the image again: elt-env image TARGET",
        ) from error


def _parsed(data: bytes, where: str) -> Manifest:
    try:
        return oci.parse_manifest(data)
    except ValueError as error:
        raise nonsense(where, f"its manifest is {error}") from error
