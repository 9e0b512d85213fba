"""The interface of conda tools, and the requests they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from elt_env.lockfile.document import Package
from elt_env.lockfile.foreign.document import ForeignArchive
from elt_env.machine.process import Say, unheard
from elt_env.project.policy import ChannelPriority
from elt_env.spec.conda_spec import CondaSpec
from elt_env.store.kept_files import KeptFiles


@dataclass(frozen=True)
class SolveRequest:
    """One question to a conda solver.

    Attributes:
        channels: names or URLs, the first has priority.
        specs: what must be there.
        constraints: what must hold for packages that are there.
        platform: the conda subdir to solve for; `noarch` is always added.
        exclude_newer: take only packages that a channel got, or else that were built, before this
            moment; None takes all. What a channel gives no date for is taken.
        not_held: normalized names that `exclude_newer` does not concern.
        keep: packages to prefer at their version where nothing forbids it, and where the channels
            have the same archive.
        priority: how the order of the channels counts.
        once: whether a channel that does not answer is not asked again.
        virtual: the virtual packages of the platform; None means those that this machine has.
    """

    channels: tuple[str, ...]
    specs: tuple[CondaSpec, ...]
    platform: str
    constraints: tuple[CondaSpec, ...] = ()
    exclude_newer: datetime | None = None
    not_held: tuple[str, ...] = ()
    keep: tuple[Package, ...] = ()
    priority: ChannelPriority = "strict"
    once: bool = False
    virtual: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True)
class ChannelRelease:
    """One build of a package that a channel offers.

    Attributes:
        depends: what it needs, as its repodata says.
        released_at: when the channel got it, else when it was built, UTC; None where the channel
            tells neither.
    """

    name: str
    version: str
    build: str
    build_number: int = 0
    depends: tuple[str, ...] = ()
    released_at: datetime | None = None


@dataclass(frozen=True)
class Carried:
    """A Python distribution in a conda package.

    Attributes:
        metadata: the fields of its METADATA or PKG-INFO; "" where it cannot be read.
    """

    name: str
    version: str
    metadata: str


@dataclass(frozen=True)
class LeftOut:
    """A build that satisfies a requirement, and that no solve may take all the same.

    Attributes:
        reason: it is too young, needs or excludes a virtual package as this machine has it, or lies
            in a channel that another goes before.
        what: the requirement on the virtual package, or the channel's URL.
        here: the version of the virtual package on this machine; "" where it is not there.
    """

    package: Package
    reason: Literal["young", "virtual", "channel"]
    what: str = ""
    here: str = ""


class Offered(Protocol):
    """The builds that a solve may choose from.

    A build that can have no place in any solution may be left out: one that is too young, of a
    channel that another goes before, or at odds with the virtual packages of this machine.
    """

    def asking(self, specs: Iterable[CondaSpec]) -> Offered:
        """Return what is offered where other requirements are asked for, on packages known here."""
        ...

    @property
    def constrained(self) -> frozenset[str]:
        """The names that some build does not need, but has a requirement on where it is there."""
        ...

    def builds(self, name: str) -> tuple[Package, ...]:
        """Return the builds of a package, the best first; () when there are none."""
        ...

    def matching(self, requirement: str) -> frozenset[int]:
        """Return the positions in `builds` of what satisfies a requirement as repodata write it."""
        ...

    def left_out(self, requirement: str) -> tuple[LeftOut, ...]:
        """Return the builds that satisfy a requirement and may not be taken, newest first.

        Of a package that is asked for, these are builds that suit what is asked for.
        """
        ...

    def versions(self, name: str) -> tuple[str, ...]:
        """Return all versions of a package on the channels, taken or not, newest first."""
        ...


class ChannelReader(Protocol):
    """Reads what channels offer, and what their archives hold."""

    def channel_urls(self, channels: Iterable[str]) -> tuple[str, ...]:
        """Return the URLs that channels stand for, in their order and without credentials.

        Raises:
            SpecError: one cannot be a channel.
        """
        ...

    def reachable(self, channels: tuple[str, ...]) -> bool:
        """Tell whether every channel answers.

        Raises:
            CertificateError, ProxyError: one of them stands between here and a channel.
        """
        ...

    def releases(
        self, channels: tuple[str, ...], names: tuple[str, ...], platform: str
    ) -> dict[str, tuple[ChannelRelease, ...]]:
        """Return every build of packages for a platform or for `noarch`, newest version first.

        A package is taken from the first channel that has it, as solvers do (strict priority). No
        channel has a package whose value is empty.

        Raises:
            ChannelUnreachableError: a channel does not answer.
            NetworkError: a channel answers with something that is not repodata.
            TimeLimitError: a channel is too slow.
        """
        ...

    def names(self, channels: tuple[str, ...], platform: str) -> tuple[str, ...]:
        """Return the names of all packages on channels, sorted.

        Raises: as `releases`.
        """
        ...

    def offered(self, request: SolveRequest) -> Offered:
        """Return what the request could bring; its `constraints` and `keep` are not used.

        Raises: as `releases`.
        """
        ...

    def carried(self, packages: Sequence[Package]) -> tuple[tuple[Carried, ...], ...]:
        """Return the distributions that the archive of each package holds.

        Raises:
            NetworkError: an archive cannot be had or read.
        """
        ...

    def contents(self, packages: Sequence[Package]) -> tuple[Mapping[str, str], ...]:
        """Return by path what the archive of each package holds: the sha256, or "" if untold.

        Raises:
            NetworkError: an archive cannot be had or read.
        """
        ...

    def described(self, archives: Sequence[ForeignArchive], say: Say) -> tuple[Package, ...]:
        """Return the packages at URLs as their channels describe them, or else they themselves.

        Raises:
            InputError: a URL is none of a conda package, or nothing tells its sha256.
            IntegrityError: a package has another hash than is told.
            ChannelUnreachableError: a channel does not answer.
            NetworkError: an archive cannot be had or read.
        """
        ...


class Solver(ChannelReader, Protocol):
    """Answers which conda packages fit together, of what it reads of their channels."""

    name: str

    def version(self) -> str:
        """Return the tool's version."""
        ...

    def solve(self, request: SolveRequest, say: Say = unheard) -> tuple[Package, ...]:
        """Return the solution, sorted by name, each package with the distributions it owns.

        A channel that asks for it is asked again later, of which `say` hears.

        Raises:
            CertificateError, ProxyError: one of them stands between here and a channel.
            CondaUnsatisfiableError: there is none; the solver's explanation is in the problem.
            PackageNotFoundError: no channel has a package of some name that was asked for.
            ChannelUnreachableError: a channel does not answer.
            NetworkError: a channel answers with something that is not repodata.
        """
        ...

    def matches(self, spec: CondaSpec, package: Package) -> bool:
        """Tell whether a conda package satisfies a conda requirement."""
        ...

    def admits(self, requirement: str, version: str) -> bool:
        """Tell whether a requirement as repodata write it admits a version without a build."""
        ...


class Linker(Protocol):
    """Makes a prefix hold what is locked."""

    @property
    def kept(self) -> KeptFiles:
        """The archives that are looked through before any is downloaded."""
        ...

    def archives(self, packages: tuple[Package, ...], say: Say) -> tuple[Path, ...]:
        """Return the archive of each package, as it is locked; downloaded where it is not kept.

        Raises: as `link`.
        """
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
