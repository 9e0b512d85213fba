"""The interface of the tools that make a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.locked_files import PipFiles
from elt_env.project.project import Project
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda import CondaTool
    from elt_env.conda.channels import Channels
    from elt_env.conda.host_channel import HostChannel
    from elt_env.index.package_index import PackageIndex
    from elt_env.pip import Resolver


class LockTools(Protocol):
    """What a lock is made with; each tool is loaded when it is first used."""

    @property
    def project(self) -> Project:
        """The project, with its policy and its specs."""
        ...

    @property
    def store(self) -> Store:
        """Where locks are kept."""
        ...

    @property
    def conda(self) -> CondaTool:
        """What solves the conda half."""
        ...

    @property
    def channels(self) -> Channels:
        """What the policy, and conda's settings, say of channels."""
        ...

    @property
    def host_channel(self) -> HostChannel:
        """The conda channel that is made of this machine."""
        ...

    @property
    def resolver(self) -> Resolver:
        """What resolves the pip half."""
        ...

    @property
    def package_index(self) -> PackageIndex:
        """The pages of the package indexes."""
        ...

    @property
    def files(self) -> PipFiles:
        """Where the files of pip's packages come from, and the indexes of the settings."""
        ...
