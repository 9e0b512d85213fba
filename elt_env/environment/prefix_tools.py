"""The interface of the tools that build a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.package_tools import PackageTools
from elt_env.lockfile.document import Lock

if TYPE_CHECKING:
    from elt_env.conda import Linker
    from elt_env.pip import Installer


class PrefixTools(PackageTools, Protocol):
    """What a prefix is built with."""

    def linker(self, lock: Lock, /) -> Linker:
        """Return what links the conda half of a lock, or makes its venv, as the lock has it."""
        ...

    @property
    def installer(self) -> Installer:
        """What runs the one pip command."""
        ...
