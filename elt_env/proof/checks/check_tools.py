"""The interface of the tools that checks work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from elt_env.environment.prefix_tools import PrefixTools

if TYPE_CHECKING:
    from elt_env.machine.indexes import Indexes
    from elt_env.pip import Resolver


class CheckTools(PrefixTools, Protocol):
    """What checks work with: what builds a prefix, and what resolves pip's half."""

    @property
    def resolver(self) -> Resolver:
        """The resolver of the environment."""
        ...

    def resolver_named(self, name: str, indexes: Indexes, *, alone: bool = False) -> Resolver:
        """Return a resolver by its name in the policy, to ask these indexes.

        One that is `alone` takes no other's answer where it finds none.
        """
        ...
