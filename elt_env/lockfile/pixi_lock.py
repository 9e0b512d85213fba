"""`pixi.lock`: both halves as pixi locks them, version 6.

https://pixi.sh/latest/workspace/lockfile/
"""

from __future__ import annotations

import yaml

from elt_env.lockfile.document import Lock, Package


def render(lock: Lock, *others: Lock) -> str:
    """Return a lock, and those of the same target on other platforms, as pixi writes them.

    What a wheel was built of is named by its URL as pip writes it, with the hash of the source.
    Bounds of pip's packages on each other are not in a lock, nor are they here.
    """
    every = sorted((lock, *others), key=lambda each: each.target.platform)
    packages = {_place(each): each for one in every for each in one.packages}
    environment = {
        "channels": [{"url": each} for each in lock.channels],
        "indexes": list(lock.indexes),
        "packages": {
            one.target.platform: [dict((_place(each),)) for each in one.packages] for one in every
        },
    }
    content = {
        "version": 6,
        "environments": {"default": environment},
        "packages": [_described(each) for each in packages.values()],
    }
    return f"{lock.heading}\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _place(package: Package) -> tuple[str, str]:
    """Return the kind of a package and its URL, by which an environment refers to it."""
    return "conda" if package.conda else "pypi", package.origin


def _described(package: Package) -> dict[str, object]:
    kind, url = _place(package)
    sha256 = package.origin_sha256
    described: dict[str, object] = {kind: url}
    if package.conda is None:
        described |= {"name": package.name, "version": package.version}
        described |= {"sha256": sha256} if sha256 else {}
        python = package.requires_python
        return described | ({"requires_python": python} if python else {})
    detail = package.conda
    md5 = {"md5": detail.md5} if detail.md5 else {}
    depends = {"depends": list(detail.depends)} if detail.depends else {}
    return described | {"sha256": sha256} | md5 | depends
