"""Environment markers (PEP 508), evaluated for the Python of a lock."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from packaging.markers import (
    Marker,
    UndefinedComparison,
    UndefinedEnvironmentName,
    default_environment,
)
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from elt_env.package.names import normalize
from elt_env.package.platform import platform_of
from elt_env.package.target import minor_of
from elt_env.spec.faults import WrittenError

_EXTRA = re.compile(r'\bextra\s*==\s*"([^"]*)"')


def applies(requirement: Requirement, python: str, extras: Iterable[str] = ()) -> bool:
    """Tell whether a requirement counts under a full Python version, or with one of some extras.

    What a marker asks of the platform is answered for that of the Python.
    """
    marker = requirement.marker
    if marker is None:
        return True
    machine = {name: str(value) for name, value in default_environment().items()}
    platform = platform_of(python)
    machine |= platform.markers if platform else {}
    minor = minor_of(python)
    asked = {**machine, "python_version": minor, "python_full_version": str(python)}
    return any(marker.evaluate({**asked, "extra": each}) for each in ("", *extras))


def bound_on(name: str, requires: Iterable[Requirement], python: str) -> SpecifierSet:
    """Return the bound that requirements put on a distribution under a full Python version."""
    bound = SpecifierSet()
    for each in requires:
        if normalize(each.name) == name and applies(each, python):
            bound &= each.specifier
    return bound


def bound_of(
    name: str, requires: Iterable[Requirement], python: str, extras: Iterable[str] = ()
) -> str:
    """Return the bound on a distribution as its owner writes it, maybe with one of some extras.

    Where none of these asks for it, another extra does that they lead to.
    """
    some = tuple(extras)
    mine = [each for each in requires if normalize(each.name) == name]
    counting = [each for each in mine if applies(each, python, some)]
    counting = counting or [each for each in mine if applies(each, python, _extras_in(each))]
    texts = (str(each.specifier) for each in counting)
    return ",".join(dict.fromkeys(each for each in texts if each))


def _extras_in(requirement: Requirement) -> list[str]:
    """Return the extras that a requirement's marker names."""
    return _EXTRA.findall(str(requirement.marker or ""))


def require_meaning(marker: Marker) -> None:
    """Return when a marker can be true or false (PEP 508: what it compares, it can compare).

    Raises:
        WrittenError: it can be neither.
    """
    try:
        marker.evaluate({"extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        raise WrittenError(
            f"the marker '{marker}' compares what cannot be compared",
            "Compare a variable with a text, as in python_version < '3.12'.",
        ) from error


def python_bound(text: str | None) -> SpecifierSet:
    """Return a Requires-Python as a set of versions; all of them where it cannot be read."""
    try:
        return SpecifierSet(text or "")
    except InvalidSpecifier:
        return SpecifierSet()


@functools.lru_cache(maxsize=4096)
def admits_python(requires_python: str | None, python: str) -> bool:
    """Tell whether a Requires-Python admits a full version; one that is invalid admits all."""
    return python_bound(requires_python).contains(python, prereleases=True)
