"""The interfaces of the tools that know packages, and of those that build a prefix of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.locked_files import PipFiles
from elt_env.lockfile.document import Lock
from elt_env.project.project import Project
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda import Linker, Solver
    from elt_env.conda.host_channel import HostChannel
    from elt_env.pip import Installer


class PackageTools(Protocol):
    """What knows the packages of both halves; each tool is loaded when it is first used."""

    @property
    def project(self) -> Project:
        """The project, with its policy, its specs and its caches."""
        ...

    @property
    def store(self) -> Store:
        """Where locks, prefixes and logs are kept."""
        ...

    @property
    def conda(self) -> Solver:
        """What reads channels and solves the conda half, as the policy says."""
        ...

    @property
    def host_channel(self) -> HostChannel:
        """The conda channel that is made of this machine."""
        ...

    @property
    def files(self) -> PipFiles:
        """Where the files of pip's packages come from, and the indexes of the settings."""
        ...


class PrefixTools(PackageTools, Protocol):
    """What a prefix is built with."""

    def linker(self, lock: Lock, /) -> Linker:
        """Return what links the conda half of a lock, or makes its venv, as the lock has it."""
        ...

    @property
    def installer(self) -> Installer:
        """What runs the one pip command."""
        ...
