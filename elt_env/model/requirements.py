"""`requirements.txt`: the pip half, pinned and hashed, as pip and uv install it."""

from __future__ import annotations

from elt_env.model.lock import Lock

FILE_NAME = "requirements.txt"


def render(lock: Lock) -> str:
    """Return the pip half of `lock` with exactly one hash for each package.

    With `--require-hashes --no-deps` nothing but the locked file of each package is accepted.
    """
    lines = [f"# {lock.target} {lock.digest}"]
    for package in lock.pip:
        lines += [f"{package.name}=={package.version} \\", f"    --hash=sha256:{package.sha256}"]
    return "\n".join(lines) + "\n"
