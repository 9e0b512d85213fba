"""Requirements of wheels in conda's words."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.package.names import normalize
from elt_env.spec.conda_bounds import from_pep440

_VARIABLE = re.compile(
    r"\b(?:os_name|sys_platform|platform_\w+|python_version|python_full_version|"
    r"implementation_(?:name|version))\b"
)
_EXTRA = re.compile(r"\bextra\b")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def conda_depends(
    requires_dist: Iterable[str], minor: str, owner: str, extra: str = ""
) -> tuple[str, ...]:
    """Return the conda `depends` that a distribution's requirements mean on this machine.

    Markers are evaluated for CPython `minor` on Linux (PEP 508); one that tells patch releases of
    a minor apart is decided for the latest. Conda knows no extras: what `B[x]` wants beyond `B` is
    the package `b-with-x` (see `extra_package`), which is required beside it.

    Args:
        requires_dist: the values of Requires-Dist.
        minor: the Python minor, as in `3.11`.
        owner: the name of the distribution; it does not depend on itself.
        extra: return what is required for this extra and not without it.

    Raises:
        packaging.requirements.InvalidRequirement: a requirement cannot be read.
    """
    wanted = [Requirement(each) for each in requires_dist]
    if extra:
        wanted = [each for each in wanted if not _applies(each.marker, minor)]
    needed = [
        depend
        for each in wanted
        if _applies(each.marker, minor, extra)
        for depend in _depends_on(each, normalize(owner))
    ]
    return tuple(dict.fromkeys(needed))


def _depends_on(requirement: Requirement, owner: str) -> Iterator[str]:
    name, bound = normalize(requirement.name), from_pep440(requirement.specifier)
    extras = [extra_package(name, each) for each in sorted(requirement.extras)]
    for each in (*([] if name == owner else [name]), *extras):
        yield f"{each} {bound}".rstrip()


def extra_package(name: str, extra: str) -> str:
    """Return the name of the conda package that stands for an extra, as in `moto-with-s3`."""
    return f"{normalize(name)}-with-{normalize(extra)}"


def wanted_extras(
    requires: Mapping[str, Sequence[Requirement]], minor: str
) -> dict[str, tuple[str, ...]]:
    """Return which extras of each distribution others want, with what these extras want in turn.

    Args:
        requires: what each distribution requires, by its normalized name.
        minor: the Python minor, as in `3.11`.
    """
    found: dict[str, set[str]] = {}
    left = [(name, "") for name in requires]
    while left:
        name, extra = left.pop()
        for each in requires.get(name, ()):
            if not _applies(each.marker, minor, extra):
                continue
            wanted = found.setdefault(normalize(each.name), set())
            new = {*map(normalize, each.extras)} - wanted
            wanted |= new
            left += [(normalize(each.name), one) for one in new]
    return {name: tuple(sorted(extras)) for name, extras in found.items() if extras}


def depends_on_environment(requires_dist: Iterable[str], extra: str = "") -> bool:
    """Tell whether requirements differ between Pythons or platforms.

    Those of extras are left aside, or, with `extra`, all that are not of that extra.

    Raises:
        packaging.requirements.InvalidRequirement: a requirement cannot be read.
    """
    markers = [str(each.marker or "") for each in map(Requirement, requires_dist)]
    concerned = [
        each for each in markers if (_is_of(each, extra) if extra else _is_without_extra(each))
    ]
    return any(_VARIABLE.search(_QUOTED.sub("", each)) for each in concerned)


def _is_of(marker: str, extra: str) -> bool:
    values = {normalize(each[1:-1]) for each in _QUOTED.findall(marker)}
    return normalize(extra) in values and _EXTRA.search(_QUOTED.sub("", marker)) is not None


def _is_without_extra(marker: str) -> bool:
    text = _QUOTED.sub("", marker)
    return not _EXTRA.search(text) or " or " in text


def _applies(marker: Marker | None, minor: str, extra: str = "") -> bool:
    return marker is None or marker.evaluate({**_environment(minor), "extra": extra})


def _environment(minor: str) -> dict[str, str]:
    full = f"{minor}.99"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": platform.machine(),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": minor,
        "sys_platform": "linux",
    }


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
