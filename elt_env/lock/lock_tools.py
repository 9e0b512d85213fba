"""The interface of the tools that make a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.prefix_tools import PackageTools

if TYPE_CHECKING:
    from elt_env.conda.channels import Channels
    from elt_env.index.package_index import PackageIndex
    from elt_env.pip import Resolver


class LockTools(PackageTools, Protocol):
    """What a lock is made with."""

    @property
    def channels(self) -> Channels:
        """What the policy, and conda's settings, say of channels."""
        ...

    @property
    def resolver(self) -> Resolver:
        """What resolves the pip half."""
        ...

    @property
    def package_index(self) -> PackageIndex:
        """The pages of the package indexes."""
        ...
