"""Requirements of wheels in conda's words. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.model.conda_spec import from_pep440
from elt_env.model.names import normalize

_VARIABLE = re.compile(
    r"\b(?:os_name|sys_platform|platform_\w+|python_version|python_full_version|"
    r"implementation_(?:name|version))\b"
)
_EXTRA = re.compile(r"\bextra\b")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def conda_depends(requires_dist: Iterable[str], minor: str, owner: str) -> tuple[str, ...]:
    """Return the conda `depends` that a distribution's requirements mean on Linux.

    Markers are evaluated for CPython `minor` on Linux x86-64, no extra requested (PEP 508). Limits:
    what a dependency's extras require (`B[x]`) is not followed, `B` alone is required; a marker
    that tells patch releases of one minor apart is decided for the latest.

    Args:
        requires_dist: the values of Requires-Dist.
        minor: the Python minor, as in `3.11`.
        owner: the name of the distribution; it does not depend on itself.

    Raises:
        packaging.requirements.InvalidRequirement: a requirement cannot be read.
    """
    wanted = [Requirement(each) for each in requires_dist]
    needed = [
        conda_requirement(each)
        for each in wanted
        if _applies(each.marker, minor) and normalize(each.name) != normalize(owner)
    ]
    return tuple(dict.fromkeys(needed))


def depends_on_environment(requires_dist: Iterable[str]) -> bool:
    """Tell whether requirements differ between Pythons or platforms, extras left aside.

    Raises:
        packaging.requirements.InvalidRequirement: a requirement cannot be read.
    """
    markers = (Requirement(each).marker for each in requires_dist)
    return any(_asks_environment(marker) for marker in markers if marker is not None)


def _asks_environment(marker: Marker) -> bool:
    text = _QUOTED.sub("", str(marker))
    if _EXTRA.search(text) and " or " not in text:
        return False
    return _VARIABLE.search(text) is not None


def _applies(marker: Marker | None, minor: str) -> bool:
    return marker is None or marker.evaluate(_environment(minor))


def _environment(minor: str) -> dict[str, str]:
    full = f"{minor}.99"
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": minor,
        "sys_platform": "linux",
    }


def conda_requirement(requirement: Requirement) -> str:
    """Return a requirement as `name version-bound`; extras, marker and URL are left out."""
    bound = from_pep440(requirement.specifier)
    return f"{normalize(requirement.name)} {bound}".rstrip()


def python_bound(requires_python: str) -> str:
    """Return Requires-Python as a conda dependency on `python`.

    Raises:
        packaging.specifiers.InvalidSpecifier: it cannot be read.
    """
    return f"python {from_pep440(SpecifierSet(requires_python))}".rstrip()


def python_depends(minor: str) -> tuple[str, str]:
    """Return the conda dependencies of a package that is built for one Python minor."""
    major, _, number = minor.partition(".")
    upper = f"{major}.{int(number) + 1}"
    tag = f"cp{major}{number}"
    return f"python >={minor},<{upper}.0a0", f"python_abi {minor}.* *_{tag}"
