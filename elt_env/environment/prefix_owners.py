"""The package that each file of a prefix belongs to."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from elt_env.environment.prefix import Prefix


def owners(prefix: Prefix, wanted: Collection[Path] | None = None) -> dict[Path, str]:
    """Return by path the package that recorded a file, as in `numpy 2.3.1`; pip's name wins.

    Args:
        prefix: where the files lie.
        wanted: the files to look for, all by default. What no package recorded is left out.

    Paths are absolute, with no links in the directory of the prefix.
    """
    every = dict(_by_conda(prefix)) | dict(_by_distribution(prefix))
    if wanted is None:
        return every
    return {path: every[path] for path in wanted if path in every}


def _by_conda(prefix: Prefix) -> Iterator[tuple[Path, str]]:
    root = Path(os.path.realpath(prefix.path))
    for _, record in prefix.conda_records():
        owner = f"{record['name']} {record['version']}"
        for file in record.get("files", ()):
            yield root / file, owner


def _by_distribution(prefix: Prefix) -> Iterator[tuple[Path, str]]:
    site = os.path.realpath(prefix.site_packages)
    for distribution in prefix.distributions():
        owner = f"{distribution.name} {distribution.version}".strip()
        for file in distribution.files:
            yield Path(os.path.normpath(Path(site, file))), owner


def shown(path: Path, prefix: Prefix, owner_of: dict[Path, str]) -> str:
    """Return a file's path below the prefix and whose it is, for a message."""
    place = os.path.relpath(path, os.path.realpath(prefix.path))
    return f"{place} of {owner_of.get(path, 'no package')}"
