"""The interface of the tools that locks and prefixes are both made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.locked_files import PipFiles
from elt_env.project.project import Project
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda import Solver
    from elt_env.conda.host_channel import HostChannel


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
