"""The record of a lock's image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from elt_env.image.spec import Descriptor, Layer
from elt_env.package.canonical import short
from elt_env.package.target import Target


@dataclass(frozen=True)
class FileState:
    """When a file was last known to have its digest: its time in nanoseconds, and its inode."""

    modified: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the state of the file at a path now."""
        found = path.stat()
        return cls(found.st_mtime_ns, found.st_ino)


@dataclass(frozen=True)
class PackedLayer:
    """A layer, and the question that it answers.

    Attributes:
        key: digest of all that its content depends on.
        seen: its blob when it was written or last read whole.
    """

    key: str
    layer: Layer
    seen: FileState


@dataclass(frozen=True)
class PrefixLayers:
    """The layers of the packages of a prefix, and the question that they answer.

    Attributes:
        question: digest of all that they depend on, the list of the prefix's files included.
        layers: from the lowest, what each holds, by its own key.
    """

    question: str
    layers: dict[str, str]


@dataclass(frozen=True)
class ImageRecord:
    """The image that was packed last for a lock.

    Attributes:
        name: its name in the layout, as in `elt-3.11`.
        manifest: what names it; its digest is the image's.
        base: in a line, what it stands on.
        base_packages: the base's own packages, where they are known.
        layers: from the lowest.
        reused: digests of the layers that were there already when it was packed.
        at: when it was packed.
        sbom: its SBOM, the file; None where that was not noted.
    """

    name: str
    manifest: Descriptor
    base: str
    base_packages: tuple[str, ...]
    layers: tuple[Layer, ...]
    reused: tuple[str, ...]
    at: datetime
    sbom: Descriptor | None = None

    @property
    def digest(self) -> str:
        """The image's digest."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """Bytes of all layers, compressed."""
        return sum(each.blob.size for each in self.layers)


def image_name(target: Target) -> str:
    """Return the name of a target's image in a layout, as in `elt-3.11`."""
    return f"{target.environment}-{target.python}"


def own_name(name: str, lock_digest: str) -> str:
    """Return the name by which a layout keeps the image of one lock, as in `elt-3.11-8c88a1b2`."""
    return f"{name}-{short(lock_digest)}"


def sbom_name(name: str) -> str:
    """Return the name by which a layout keeps the SBOM of the image of that name."""
    return f"{name}.sbom"
