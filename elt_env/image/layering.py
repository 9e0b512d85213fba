"""Assign each package to a layer of an image.

The answer depends on the packages alone, so that two builds agree, and a package that changes
takes little else with it: https://github.com/opencontainers/image-spec (layer.md) sends a changed
layer again as a whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from elt_env.lockfile.document import Manager

FAMILIES = ("dagster", "dbt", "meltano")
"""What is released together and often: a name, and all that begin with it and a hyphen."""

LARGE = 16 * 1024 * 1024
"""Bytes of files from which on a package has a layer to itself."""

_SHARES = 8  # layers that pip's other packages are spread over, by name
_MOST = 60  # packages with a layer of their own; runtimes stop at 127 layers in all

LAYERING = (FAMILIES, LARGE, _SHARES, _MOST)
"""What decides which package goes where; another rule of `plan_layers` adds to it."""


@dataclass(frozen=True, order=True)
class Owner:
    """A package of one of the two managers."""

    manager: Manager
    name: str


@dataclass(frozen=True)
class LayerPlan:
    """A layer to be.

    Attributes:
        holds: what is in it, for a person.
        owners: its packages, sorted.
    """

    holds: str
    owners: tuple[Owner, ...]


def plan_layers(sizes: dict[Owner, int]) -> tuple[LayerPlan, ...]:
    """Return the layers of packages whose files have those sizes in bytes, the steadiest first.

    Conda's Python comes first, then what is large, then the rest, then the families.
    """
    largest = sorted(sizes, key=lambda each: (-sizes[each], each))[:_MOST]
    large = {each for each in largest if sizes[each] >= LARGE}
    groups: dict[tuple[int, str], list[Owner]] = {}
    for owner in sorted(sizes):
        groups.setdefault(_group(owner, is_large=owner in large), []).append(owner)
    return tuple(LayerPlan(holds, tuple(owners)) for (_, holds), owners in sorted(groups.items()))


def _group(owner: Owner, *, is_large: bool) -> tuple[int, str]:
    family = next((each for each in FAMILIES if _belongs(owner, each)), None)
    if owner == Owner("conda", "python"):
        return 0, "conda: python"
    if family:
        return 5, f"pip: {family}"
    if is_large:
        return (1 if owner.manager == "conda" else 3), f"{owner.manager}: {owner.name}"
    if owner.manager == "conda":
        return 2, "conda: the rest"
    return 4, f"pip: the rest, {_share(owner.name)} of {_SHARES}"


def _belongs(owner: Owner, family: str) -> bool:
    in_family = owner.name == family or owner.name.startswith(f"{family}-")
    return owner.manager == "pip" and in_family


def _share(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0] % _SHARES + 1
