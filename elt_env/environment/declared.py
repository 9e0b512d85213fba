"""The Python versions and the requirements that installed distributions declare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from elt_env.environment.prefix import Distribution, Prefix, Stage
from elt_env.runtime.input_files import read_stored_text
from elt_env.spec.markers import bound_on, python_bound

if TYPE_CHECKING:
    from elt_env.index.core_metadata import ProjectUrls


@dataclass(frozen=True)
class Declared:
    """The declarations of one distribution (core metadata specification).

    Attributes:
        requires_python: its Requires-Python; admits all where there is none that can be read.
        requires: its Requires-Dist entries that can be read.
    """

    name: str
    version: str
    requires_python: SpecifierSet
    requires: tuple[Requirement, ...]

    def bound_on(self, name: str, python: str) -> SpecifierSet:
        """Return the bound it puts on the distribution `name` under that full Python version."""
        return bound_on(name, self.requires, python)


def read_declared(prefix: Prefix) -> tuple[Declared, ...]:
    """Return what every distribution of a prefix declares."""
    return tuple(_declared(each) for each in prefix.distributions())


def _declared(distribution: Distribution) -> Declared:
    installed = distribution.installed
    return Declared(
        distribution.name,
        distribution.version,
        python_bound(installed.metadata["Requires-Python"]),
        tuple(_readable(installed.requires or [])),
    )


def _readable(lines: Iterable[str]) -> list[Requirement]:
    found = []
    for line in lines:
        try:
            found.append(Requirement(line))
        except InvalidRequirement:
            continue
    return found


def installed_project_urls(prefix: Prefix) -> dict[str, ProjectUrls]:
    """Return the fields of every distribution in a prefix, by its name; none of one half built."""
    if prefix.stage < Stage.INSTALLED:
        return {}
    return {each.name: _read(each.info / "METADATA") for each in prefix.distributions()}


def _read(path: Path) -> ProjectUrls:
    from elt_env.index.core_metadata import project_urls_in  # slow to load

    try:
        return project_urls_in(read_stored_text(path, errors="replace"))
    except OSError:
        return ()
