"""The parts of an OCI image: descriptors, manifests, configs and indexes.

The rules are those of the OCI Image Format Specification 1.1: descriptor.md, manifest.md,
config.md, image-index.md. Everything is written as canonical JSON, so that equal content has an
equal digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elt_env.runtime.limits import load_json

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
LAYER_ZSTD = LAYER + "+zstd"
EMPTY = "application/vnd.oci.empty.v1+json"
SBOM = "application/vnd.cyclonedx+json"

REF_NAME = "org.opencontainers.image.ref.name"

# What registries of the older format call the same things (Docker image manifest v2, schema 2).
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ARCHITECTURES = {"64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x"}


def encode(content: object) -> bytes:
    """Return canonical JSON: UTF-8, keys sorted, no white space."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def architecture(platform: str) -> str:
    """Return the GOARCH of a conda platform, as in `linux-64` -> `amd64` (config.md)."""
    name = platform.partition("-")[2]
    return _ARCHITECTURES.get(name, name)


@dataclass(frozen=True)
class Descriptor:
    """Names content by media type, digest and size in bytes (descriptor.md).

    Attributes:
        digest: `sha256:` and 64 hex digits.
        platform: operating system and architecture, in an index.
    """

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    platform: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the descriptor as the JSON object of the specification."""
        content: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.annotations:
            content["annotations"] = dict(self.annotations)
        if self.artifact_type:
            content["artifactType"] = self.artifact_type
        if self.platform:
            content["platform"] = {"os": self.platform[0], "architecture": self.platform[1]}
        return content


def describe(data: bytes, media_type: str, **more: Any) -> Descriptor:  # noqa: ANN401  # fields of Descriptor
    """Return the descriptor of bytes."""
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return Descriptor(media_type, digest, len(data), **more)


def parse_descriptor(content: object) -> Descriptor:
    """Return the descriptor in a JSON object.

    Raises:
        ValueError: it is none, or its digest is not a sha256.
    """
    try:
        found = dict(content)  # type: ignore[call-overload]
        digest, size = str(found["digest"]), int(found["size"])
        media_type = str(found["mediaType"])
        place = found.get("platform")
        platform = (str(place["os"]), str(place["architecture"])) if place else None
        annotations = {
            str(key): str(value) for key, value in (found.get("annotations") or {}).items()
        }
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"not an OCI descriptor: {content!r:.200}") from error
    if not _DIGEST.fullmatch(digest) or size < 0:
        raise ValueError(f"not a sha256 digest and a size: {digest!r:.100}, {size}")
    return Descriptor(media_type, digest, size, annotations, found.get("artifactType"), platform)


@dataclass(frozen=True)
class Layer:
    """A layer of an image.

    Attributes:
        blob: the compressed tar.
        diff_id: digest of the tar before compression (config.md, rootfs).
        holds: what is in it, for a person.
    """

    blob: Descriptor
    diff_id: str
    holds: str


@dataclass(frozen=True)
class Manifest:
    """What an image, or another artifact, consists of (manifest.md)."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None
    subject: Descriptor | None = None

    def to_bytes(self) -> bytes:
        """Return the manifest as canonical JSON."""
        content: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.config.to_json(),
            "layers": [each.to_json() for each in self.layers],
        }
        if self.artifact_type:
            content["artifactType"] = self.artifact_type
        if self.subject:
            content["subject"] = self.subject.to_json()
        if self.annotations:
            content["annotations"] = dict(self.annotations)
        return encode(content)


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest in `data`; one of Docker's schema 2 has the same shape.

    Raises:
        ValueError: it is none.
    """
    content = load_json(data)
    if not isinstance(content, dict) or "config" not in content:
        raise ValueError("not an image manifest")
    subject = content.get("subject")
    return Manifest(
        config=parse_descriptor(content["config"]),
        layers=tuple(map(parse_descriptor, content.get("layers") or ())),
        annotations=dict(content.get("annotations") or {}),
        artifact_type=content.get("artifactType"),
        subject=parse_descriptor(subject) if subject else None,
    )


@dataclass(frozen=True)
class ImageConfig:
    """How an image runs, and of which layers it consists (config.md).

    Attributes:
        created: a moment of RFC 3339.
        env: the variables of its processes, as `NAME=value`.
        diff_ids: of its layers, the lowest first.
        holds: for each layer what is in it, as its history.
    """

    architecture: str
    created: str
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    working_directory: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    diff_ids: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the config as canonical JSON."""
        run: dict[str, Any] = {
            "Env": list(self.env),
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "User": self.user,
            "WorkingDir": self.working_directory,
            "Labels": dict(self.labels),
        }
        history = [{"created": self.created, "created_by": each} for each in self.holds]
        return encode(
            {
                "architecture": self.architecture,
                "os": "linux",
                "created": self.created,
                "config": {key: value for key, value in run.items() if value},
                "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
                "history": history,
            }
        )


def parse_config(data: bytes) -> ImageConfig:
    """Return the config in `data`.

    Raises:
        ValueError: it is none.
    """
    content = load_json(data)
    try:
        run = content.get("config") or {}
        diff_ids = tuple(map(str, content["rootfs"]["diff_ids"]))
        past = [each for each in content.get("history") or () if not each.get("empty_layer")]
        told = tuple(str(each.get("created_by", "")) for each in past)
        return ImageConfig(
            architecture=str(content["architecture"]),
            created=str(content.get("created", "")),
            env=tuple(run.get("Env") or ()),
            entrypoint=tuple(run.get("Entrypoint") or ()),
            command=tuple(run.get("Cmd") or ()),
            user=str(run.get("User") or ""),
            working_directory=str(run.get("WorkingDir") or ""),
            labels=dict(run.get("Labels") or {}),
            diff_ids=diff_ids,
            holds=told if len(told) == len(diff_ids) else ("",) * len(diff_ids),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("not an image config") from error


def parse_index(data: bytes) -> tuple[Descriptor, ...]:
    """Return the manifests that an index names.

    Raises:
        ValueError: it is no index.
    """
    try:
        listed = load_json(data)["manifests"]
        return tuple(map(parse_descriptor, listed))
    except (TypeError, KeyError) as error:
        raise ValueError("not an image index") from error


def index_bytes(manifests: tuple[Descriptor, ...]) -> bytes:
    """Return an index of manifests as canonical JSON (image-index.md)."""
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [each.to_json() for each in manifests],
        }
    )
