"""The tools of one environment, chosen by its policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

from elt_env.conda import CondaTool, Rattler
from elt_env.conda.channels import Channels, find_channels
from elt_env.conda.host_channel import FORMAT, HostChannel
from elt_env.errors import SpecError
from elt_env.index.download import Downloads
from elt_env.index.package_index import PackageIndex
from elt_env.machine.condarc import read_conda_settings
from elt_env.machine.indexes import Indexes, find_indexes
from elt_env.package.target import Target
from elt_env.pip import Installer, Pip, Resolver, Uv
from elt_env.pip.direct_wheels import DirectWheels
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.settings import Project
from elt_env.store.evidence_key import read_evidence_key
from elt_env.store.locks import Store

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Toolbox:
    """The tools of one environment, and where their work is kept."""

    project: Project
    environment: EnvironmentPolicy
    store: Store
    conda: CondaTool
    resolver: Resolver
    installer: Installer
    channels: Channels
    indexes: Indexes
    downloads: Downloads
    package_index: PackageIndex
    direct_wheels: DirectWheels
    host_channel: HostChannel
    now: Clock

    @property
    def policy(self) -> Policy:
        """The policy of the whole project."""
        return self.project.policy

    @property
    def versions(self) -> tuple[tuple[str, str], ...]:
        """Names and versions of the tools that make a lock, sorted."""
        tools = (self.conda, self.resolver)
        return tuple(sorted((each.name, each.version()) for each in tools))

    def target(self, environment: str, python: str) -> Target:
        """Return the target on this machine's platform."""
        return Target(environment, python, self.conda.platform())


def open_toolbox(project: Project, environment: str) -> Toolbox:
    """Return the tools that the policy names for one environment.

    Raises:
        PolicyError: there is no such environment, or a setting has no usable value.
    """
    policy = project.policy
    environment_policy = project.environment(environment)
    channels = find_channels(policy, read_conda_settings(), project.root)
    indexes = _indexes(project, environment)
    limit = policy.tool_limit.total_seconds()
    cache = project.home / "cache"
    uv = Uv(indexes, limit)
    downloads = Downloads(cache / "wheels", indexes, limit)
    return Toolbox(
        project=project,
        environment=environment_policy,
        store=Store(
            project.home,
            project.store_owner.claim,
            partial(read_evidence_key, policy.evidence_key, project.root, project.home),
        ),
        conda=Rattler(cache / "conda", channels.names, limit),
        resolver=uv,
        installer=Pip(limit) if environment_policy.installer == "pip" else uv,
        channels=channels,
        indexes=indexes,
        downloads=downloads,
        package_index=PackageIndex(indexes, cache / "pages"),
        direct_wheels=DirectWheels(downloads, cache / "builds", project.home / "builds", uv, limit),
        host_channel=HostChannel(project.home / "host-channel" / FORMAT),
        now=lambda: datetime.now(timezone.utc),
    )


def _indexes(project: Project, environment: str) -> Indexes:
    """Return the package indexes of the policy and of the spec.

    Where the spec cannot be used, they are the policy's: whoever needs the spec says why not, and
    nobody else is kept from work.
    """
    try:
        options = project.spec(environment).pip_options
        return find_indexes(project.policy, options=options, root=project.root)
    except SpecError:
        return find_indexes(project.policy)
