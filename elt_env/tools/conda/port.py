"""What the stages ask of a conda tool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from elt_env.model.conda_spec import CondaSpec
from elt_env.model.lock import Package
from elt_env.tools.process import Say


@dataclass(frozen=True)
class SolveRequest:
    """One question to a conda solver.

    Attributes:
        channels: names or URLs, the first has priority.
        specs: what must be there.
        constraints: what must hold for packages that are there.
        platform: the conda subdir to solve for; `noarch` is always added.
        exclude_newer: ignore packages built after this moment; None takes all.
        keep: packages to prefer at their version where nothing forbids it.
    """

    channels: tuple[str, ...]
    specs: tuple[CondaSpec, ...]
    platform: str
    constraints: tuple[CondaSpec, ...] = ()
    exclude_newer: datetime | None = None
    keep: tuple[Package, ...] = ()


class CondaTool(Protocol):
    """Solves and links the conda half."""

    name: str

    def version(self) -> str:
        """Return the tool's version."""
        ...

    def platform(self) -> str:
        """Return this machine's conda subdir, as in `linux-64`."""
        ...

    def channel_url(self, channel: str) -> str:
        """Return the URL a channel name stands for, without credentials."""
        ...

    def reachable(self, channels: tuple[str, ...]) -> bool:
        """Tell whether every channel answers."""
        ...

    def solve(self, request: SolveRequest) -> tuple[Package, ...]:
        """Return the solution, sorted by name, each package with the distributions it owns.

        Raises:
            CondaUnsatisfiableError: there is none; the solver's explanation is in the problem.
            PackageNotFoundError: no channel has a package of some name that was asked for.
            ChannelUnreachableError: a channel does not answer.
            NetworkError: a channel answers with something that is not repodata.
        """
        ...

    def matches(self, spec: CondaSpec, package: Package) -> bool:
        """Tell whether a conda package satisfies a conda requirement."""
        ...

    def link(
        self, packages: tuple[Package, ...], prefix: Path, requested: tuple[str, ...], say: Say
    ) -> None:
        """Make `prefix` hold exactly `packages`, every archive checked against its sha256.

        Raises:
            IntegrityError: an archive is not what the lock says.
            NetworkError: an archive cannot be downloaded.
            StorageError: the disk is full or not writable.
        """
        ...
