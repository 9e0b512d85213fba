"""The tools of one environment, chosen by its policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.errors import SpecError
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.project import Project
from elt_env.runtime.clock import Clock, utc_now
from elt_env.store.evidence_key import read_evidence_key
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda import Linker, Solver
    from elt_env.conda.channels import Channels
    from elt_env.conda.host_channel import HostChannel
    from elt_env.conda.venv_tool import Venv
    from elt_env.environment.locked_files import PipFiles
    from elt_env.index.download import Downloads
    from elt_env.index.package_index import PackageIndex
    from elt_env.lockfile.document import Lock
    from elt_env.machine.indexes import Indexes
    from elt_env.pip import Installer, Resolver
    from elt_env.pip.direct_wheels import DirectWheels
    from elt_env.pip.uv_tool import Uv


@dataclass(frozen=True)
class Tools:
    """The tools of one environment, and where their work is kept.

    Each tool is loaded when it is first used: to load them all takes longer than most commands.

    Attributes:
        name: that of the environment.
        environment: its policy.
    """

    project: Project
    name: str
    environment: EnvironmentPolicy
    store: Store

    @property
    def policy(self) -> Policy:
        """The policy of the whole project."""
        return self.project.policy

    @cached_property
    def channels(self) -> Channels:
        """What the policy, and conda's settings, say of channels."""
        from elt_env.conda.channels import find_channels
        from elt_env.machine.condarc import read_conda_settings

        return find_channels(self.policy, read_conda_settings(), self.project.root)

    @cached_property
    def indexes(self) -> Indexes:
        """The package indexes of the policy and of the spec.

        Where the spec cannot be used, they are the policy's: whoever needs the spec says why not,
        and nobody else is kept from work.
        """
        from elt_env.machine.indexes import find_indexes

        try:
            options = self.project.spec(self.name).pip_options
            return find_indexes(self.policy, options=options, root=self.project.root)
        except SpecError:
            return find_indexes(self.policy)

    @property
    def conda(self) -> Solver:
        """What reads channels and solves the conda half."""
        return self._venv if self.environment.python == "venv" else self._conda_tools[0]

    def linker(self, lock: Lock) -> Linker:
        """Return what links the conda half of a lock, or makes its venv, as the lock has it.

        The policy may say something else by now.
        """
        return self._venv if lock.interpreter else self._conda_tools[1]

    @cached_property
    def _conda_tools(self) -> tuple[Solver, Linker]:
        from elt_env.conda.program_tool import conda_tools

        cache = self.project.caches.path / "conda"
        return conda_tools(self.environment.conda, cache, self.channels.names, self._limit)

    @cached_property
    def _venv(self) -> Venv:
        from elt_env.conda.venv_tool import Venv

        return Venv(self.environment.interpreters, self.project.root, self._limit)

    @cached_property
    def resolver(self) -> Resolver:
        """What resolves the pip half."""
        name = self.environment.resolver
        return self._uv if name == "uv" else self.resolver_named(name, self.indexes)

    def resolver_named(self, name: str, indexes: Indexes, *, alone: bool = False) -> Resolver:
        """Return a resolver by its name in the policy, to ask these indexes.

        One that is `alone` takes no other's answer where it finds none.
        """
        from elt_env.pip.choosers import index_resolver
        from elt_env.pip.uv_tool import Uv

        if name == "uv":
            return Uv(indexes, self._limit)
        pages = self.project.caches.path / "pages"
        return index_resolver(
            *(name, indexes, pages, self.downloads, self.direct_wheels, self._limit), alone=alone
        )

    @cached_property
    def installer(self) -> Installer:
        """What runs the one pip command."""
        if self.environment.installer == "uv":
            return self._uv
        from elt_env.pip.pip_tool import Pip

        return Pip(self._limit)

    @cached_property
    def downloads(self) -> Downloads:
        """What fetches the files of a lock."""
        from elt_env.index.download import Downloads

        places = (self.project.caches.path / "wheels", self._own_cache / "wheels")
        return Downloads(places[0], self.indexes, self._limit, own=places[1])

    @cached_property
    def package_index(self) -> PackageIndex:
        """The pages of the package indexes."""
        from elt_env.index.package_index import LOOK_LIMIT, PackageIndex

        limit = min(LOOK_LIMIT, self._limit)
        return PackageIndex(self.indexes, self.project.caches.path / "pages", limit)

    @cached_property
    def direct_wheels(self) -> DirectWheels:
        """The wheels of what has no wheel on an index."""
        from elt_env.pip.direct_wheels import DirectWheels

        builds = (self._own_cache / "builds", self.project.local_home / "builds")
        return DirectWheels(self.downloads, *builds, self._uv, self._limit)

    @cached_property
    def files(self) -> PipFiles:
        """Where the files of pip's packages come from."""
        from elt_env.environment.locked_files import PipFiles

        return PipFiles(self.downloads, self.direct_wheels, self.indexes, self.policy)

    @cached_property
    def host_channel(self) -> HostChannel:
        """The conda channel that is made of this machine."""
        from elt_env.conda.host_channel import FORMAT, HostChannel, KeptPackages

        caches = self.project.caches
        kept = KeptPackages(caches) if caches.shared else None
        return HostChannel(self.project.local_home / "host-channel" / FORMAT, kept)

    @cached_property
    def _uv(self) -> Uv:
        from elt_env.pip.uv_tool import Uv

        return Uv(self.indexes, self._limit)

    @property
    def _own_cache(self) -> Path:
        """Where what was built here is kept: built again, it may have other bytes."""
        return self.project.local_home / "cache"

    @property
    def _limit(self) -> float:
        return self.policy.tool_limit.total_seconds()


def open_tools(project: Project, environment: str, now: Clock = utc_now) -> Tools:
    """Return the tools that the policy names for one environment.

    Raises:
        PolicyError: there is no such environment.
    """
    home = project.local_home
    key = partial(read_evidence_key, project.policy.evidence_key, project.root, home)
    return Tools(
        project=project,
        name=environment,
        environment=project.environment(environment),
        store=Store(home, project.store_owner.claim, key, project.documents, now),
    )
