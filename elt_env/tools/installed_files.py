"""Whether the files that pip installed are as their RECORD says.

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elt_env.tools.prefix import Distribution, Prefix

_CHUNK = 1 << 20


@dataclass(frozen=True)
class InstalledFiles:
    """How pip's files are, against what their distributions recorded.

    Attributes:
        changed: a line about each file that is gone, or is as no distribution brought it.
        shared: those that several distributions brought with different content: one of them won.
            Installers let that happen, and namespace packages of the old kind live with it. By
            path below the prefix, with a line about each.
    """

    changed: tuple[str, ...]
    shared: Mapping[str, str]


def installed_files(prefix: Prefix) -> InstalledFiles:
    """Return how the files of pip's distributions are."""
    mine = {each.name for each in prefix.lock.pip}
    brought: dict[Path, list[tuple[Distribution, str | None]]] = {}
    for each in prefix.distributions():
        for path, wanted in _recorded(prefix.site_packages, each) if each.name in mine else ():
            brought.setdefault(path, []).append((each, wanted))
    changed: list[str] = []
    shared: dict[str, str] = {}
    for path, by in sorted(brought.items()):
        names = ", ".join(f"{each.name} {each.version}" for each, _ in by)
        place = os.path.relpath(path, prefix.path)
        line = f"{place} of {names}"
        hashes = {each for _, each in by if each is not None}
        if not path.is_file():
            changed.append(f"{line} is gone")
        elif hashes and _sha256(path) not in hashes:
            changed.append(f"{line} was changed")
        elif len(hashes) > 1:
            shared[place] = line
    return InstalledFiles(tuple(changed), shared)


def _recorded(site: Path, owner: Distribution) -> Iterator[tuple[Path, str | None]]:
    """Yield the files of a distribution and their sha256, where it is recorded.

    Compiled modules are left out: the interpreter itself may write them anew.
    """
    for file in importlib.metadata.Distribution.at(owner.info).files or ():
        if file.suffix == ".pyc":
            continue
        is_sha256 = file.hash is not None and file.hash.mode == "sha256"
        wanted = file.hash.value if is_sha256 and file.hash is not None else None
        yield Path(os.path.normpath(site / file)), wanted


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
