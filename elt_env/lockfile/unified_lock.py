"""`conda-lock.yml`: both halves in the unified lock of conda-lock, version 1.

The format is told by conda-lock's own `lockfile/v1/models.py`.
"""

from __future__ import annotations

import yaml

from elt_env.lockfile.document import DEPENDENCY_NAME, Lock, Package

_ANY = "*"


def render(lock: Lock, *others: Lock) -> str:
    """Return a lock, and those of the same target on other platforms, as conda-lock writes them.

    What no index has is named by its URL as pip writes it, with the hash of the source where that
    is an archive. Bounds of pip's packages on each other are not in a lock, nor are they here.
    """
    every = sorted((lock, *others), key=lambda each: each.target.platform)
    hashes = {each.target.platform: each.spec_digest.removeprefix("sha256:") for each in every}
    content = {
        "version": 1,
        "metadata": {
            "content_hash": hashes,
            "channels": [{"url": each, "used_env_vars": []} for each in lock.channels],
            "platforms": [*hashes],
            "sources": [],
        },
        "package": [
            {
                "name": each.name,
                "version": each.version,
                "manager": each.manager,
                "platform": one.target.platform,
                "dependencies": _dependencies(each, one),
                "url": each.origin,
                "hash": _hash(each),
                "category": "main",
                "optional": False,
            }
            for one in every
            for each in one.packages
        ],
    }
    return f"{lock.heading}\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _dependencies(package: Package, lock: Lock) -> dict[str, str]:
    """Return what a package needs, by name: conda's bound on it, any for pip's."""
    if package.conda is None:
        return {each.name: _ANY for each in lock.pip if package.name in each.required_by}
    bounds: dict[str, list[str]] = {}
    for text in map(str.strip, package.conda.depends):
        name = DEPENDENCY_NAME.match(text)
        if name is not None:
            bounds.setdefault(name[0], []).append(text[name.end() :].strip())
    return {name: ",".join(filter(None, each)) for name, each in bounds.items()}


def _hash(package: Package) -> dict[str, str]:
    sha256 = package.origin_sha256
    md5 = package.conda.md5 if package.conda else None
    found = {"md5": md5, "sha256": sha256}
    return {name: value for name, value in found.items() if value}
