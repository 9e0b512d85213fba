"""Read what an sdist says of itself without building it (PEP 643)."""

from __future__ import annotations

import tarfile
import zlib
from email.parser import HeaderParser
from pathlib import Path

from packaging.version import InvalidVersion, Version

_MOST = 4 << 20  # bytes of a PKG-INFO that are read
_RELIABLE = Version("2.2")


def read_sdist_metadata(path: Path) -> str | None:
    """Return the core metadata of an sdist whose wheels all need the same.

    None where they may need something else: before version 2.2 of the metadata, and where
    Requires-Dist is dynamic (PEP 643).

    Args:
        path: the sdist, a gzipped tar archive (PEP 625).
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            parts = ((each, each.name.split("/")) for each in archive)
            is_info = (each for each, names in parts if names[1:] == ["PKG-INFO"])
            member = next(is_info, None)
            file = archive.extractfile(member) if member else None
            text = file.read(_MOST).decode("utf-8", "replace") if file else ""
    except (OSError, tarfile.TarError, EOFError, zlib.error):
        return None
    fields = HeaderParser().parsestr(text)
    dynamic = {str(each).strip().lower() for each in fields.get_all("Dynamic", [])}
    try:
        is_reliable = Version(str(fields.get("Metadata-Version", ""))) >= _RELIABLE
    except InvalidVersion:
        is_reliable = False
    return text if is_reliable and "requires-dist" not in dynamic else None
