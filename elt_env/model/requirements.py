"""`requirements.txt`: the pip half, pinned and hashed, as pip and uv install it."""

from __future__ import annotations

from collections.abc import Iterable

from elt_env.model.lock import Lock, Package

FILE_NAME = "requirements.txt"


def render(lock: Lock) -> str:
    """Return the pip half of `lock` with exactly one hash for each package.

    With `--require-hashes --no-deps` nothing but the locked file of each package is accepted.
    """
    return f"# {lock.target} {lock.digest}\n" + pinned(lock.pip)


def pinned(packages: Iterable[Package]) -> str:
    """Return a line for each package that accepts nothing but its locked file."""
    return "".join(
        f"{each.name}=={each.version} \\\n    --hash=sha256:{each.sha256}\n" for each in packages
    )
