"""`requirements.txt`: the pip half, pinned and hashed, as pip and uv install it."""

from __future__ import annotations

from collections.abc import Iterable

from elt_env.lockfile.document import Lock, Package

FILE_NAME = "requirements.txt"


def render(lock: Lock) -> str:
    """Return the pip half of `lock` with exactly one hash for each package.

    With `--require-hashes --no-deps` nothing but the locked file of each package is accepted. What
    no index has is named by its URL; pip and uv accept a commit only without `--require-hashes`.
    """
    lines = [_direct(each) if each.index is None else pinned([each]) for each in lock.pip]
    return f"{lock.heading}\n" + "".join(lines)


def pinned(packages: Iterable[Package]) -> str:
    """Return a line for each package that accepts nothing but its locked file."""
    return "".join(
        f"{each.name}=={each.version} \\\n    --hash=sha256:{each.sha256}\n" for each in packages
    )


def _direct(package: Package) -> str:
    """Return the line of a package that no index has: a file, or the source of a built wheel."""
    source = package.built
    if source is not None and source.commit:
        return f"{package.name} @ {package.origin}\n"
    part = f"#subdirectory={source.subdirectory}" if source and source.subdirectory else ""
    return f"{package.name} @ {package.url}{part} \\\n    --hash=sha256:{package.origin_sha256}\n"
