"""`conda-meta/history`: what was asked of conda for a prefix, and what was linked into it.

As conda writes it (conda/history.py): `conda list --revisions` and `conda env export
--from-history` read it, and without it a directory is no environment for conda.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from elt_env.lockfile.document import Lock, Package
from elt_env.spec.conda_spec import parse_conda_spec

_ASKED = "conda: "


def render(lock: Lock, at: datetime, channel: str | None = None) -> str:
    """Return the history of a prefix into which the conda half of `lock` was linked once.

    Args:
        lock: of the prefix.
        at: when it was linked.
        channel: what stands for the channel of every package; None for its own URL.
    """
    lines = [
        f"==> {at:%Y-%m-%d %H:%M:%S} <==",
        f"# cmd: elt-env build {lock.target.name}",
        *(f"+{channel or _channel(each)}/{_dist(each)}" for each in lock.conda),
        f"# update specs: {_specs(lock)}",
    ]
    return "\n".join(lines) + "\n"


def _channel(package: Package) -> str:
    return package.url.rsplit("/", maxsplit=2)[0]


def _dist(package: Package) -> str:
    subdir = package.url.rsplit("/", maxsplit=2)[1]
    return f"{subdir}::{package.name}-{package.version}-{package.build}"


def _specs(lock: Lock) -> list[str]:
    """Return what was asked of conda, which for Python is the minor of the target as well."""
    lines = [each.removeprefix(_ASKED) for each in lock.requirements if each.startswith(_ASKED)]
    return [_of_target(each, lock) for each in lines]


def _of_target(text: str, lock: Lock) -> str:
    asked = parse_conda_spec(text)
    if asked.name != "python":
        return text
    minor = f"{lock.target.python}.*"
    # What `|` parts are alternatives, of each of which all that commas part has to hold.
    bounds = [f"{minor},{each}" for each in asked.version.split("|")] if asked.version else [minor]
    return str(replace(asked, version="|".join(bounds)))
