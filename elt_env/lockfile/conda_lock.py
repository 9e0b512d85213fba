"""`conda-linux-64.lock`: the conda half as an `@EXPLICIT` file, one URL with its hash a line.

conda, mamba, micromamba and rattler read it (CEP 23). It has the name that conda-lock gives such
files, `conda-<platform>.lock`.
"""

from __future__ import annotations

from elt_env.lockfile.document import Lock


def file_name(lock: Lock) -> str:
    """Return the name of the explicit file among the lock's files."""
    return "conda.lock" if lock.layout == 1 else f"conda-{lock.target.platform}.lock"


def render(lock: Lock) -> str:
    """Return the explicit file of the conda half of `lock`, sorted by package name."""
    head = [
        lock.heading,
        f"# platform: {lock.target.platform}",
        "@EXPLICIT",
    ]
    urls = [f"{package.url}#sha256:{package.sha256}" for package in lock.conda]
    return "\n".join([*head, *urls]) + "\n"
