"""Compare the files of an image layout with their digests."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from elt_env.environment.damage import Damage, Fault
from elt_env.image.oci.layout import INDEX, VERSION, VERSION_FILE, Layout
from elt_env.image.spec import Descriptor
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import read_stored

_MODE = 0o644
_BLOB = re.compile(r"[0-9a-f]{64}")


def blob_damage(layout: Layout, blob: Descriptor) -> Damage | None:
    """Return what is wrong with a blob, which is read; None for nothing."""
    fault = file_fault(layout.blob_path(blob.digest), blob.digest)
    return Damage("image", blob.digest, fault) if fault else None


def layout_damages(layout: Layout) -> Iterator[Damage]:
    """Yield what is wrong with a layout but for its blobs, and what does not belong there.

    What is being written has a name with a dot in front of it.
    """
    version = layout.path / VERSION_FILE
    if not version.is_file():
        yield Damage("image", VERSION_FILE, "is gone")
    elif read_stored(version) != VERSION:
        yield Damage("image", VERSION_FILE, "was changed")
    for path in (version, layout.path / INDEX):
        if path.is_file() and _mode(path) != _MODE:
            yield Damage("image", path.name, "has other permissions")
    for path in strangers(layout):
        yield Damage("image", path.relative_to(layout.path).as_posix(), "was added")


def strangers(layout: Layout) -> list[Path]:
    """Return what lies in a layout and does not belong there."""
    blobs = layout.path / "blobs"
    places = {
        layout.path: {"blobs", INDEX, VERSION_FILE},
        blobs: {"sha256"},
        blobs / "sha256": None,
    }
    return [
        path
        for place, names in places.items()
        for path in sorted(place.glob("[!.]*"))
        if not (path.name in names if names else _BLOB.fullmatch(path.name))
    ]


def file_fault(path: Path, digest: str) -> Fault | None:
    """Return what is wrong with a file that has to have that digest, and to be for all to read."""
    if not path.is_file() or path.is_symlink():
        return "was changed" if path.exists() else "is gone"
    if sha256_of(path) != digest.removeprefix("sha256:"):
        return "was changed"
    return None if _mode(path) == _MODE else "has other permissions"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
