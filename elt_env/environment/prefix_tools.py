"""The interface of the tools that build a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.locked_files import PipFiles
from elt_env.lockfile.document import Lock
from elt_env.project.project import Project
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda import CondaTool
    from elt_env.conda.host_channel import HostChannel
    from elt_env.pip import Installer


class PrefixTools(Protocol):
    """What a prefix is built with; each tool is loaded when it is first used."""

    @property
    def project(self) -> Project:
        """The project, whose policy says how long a tool may take, and where caches are."""
        ...

    @property
    def store(self) -> Store:
        """Where prefixes and logs lie."""
        ...

    @property
    def conda(self) -> CondaTool:
        """The conda tool of the policy."""
        ...

    def linker(self, lock: Lock, /) -> CondaTool:
        """Return what links the conda half of a lock, or makes its venv, as the lock has it."""
        ...

    @property
    def host_channel(self) -> HostChannel:
        """The conda channel that is made of this machine."""
        ...

    @property
    def installer(self) -> Installer:
        """What runs the one pip command."""
        ...

    @property
    def files(self) -> PipFiles:
        """Where the files of pip's packages come from."""
        ...
