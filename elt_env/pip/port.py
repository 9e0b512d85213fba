"""The interfaces of pip resolvers and installers, and the requests they are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say


class Shelf(Protocol):
    """Distributions that a resolve may choose beside those of the indexes; none has any files."""

    @property
    def beside(self) -> tuple[tuple[str, str], ...]:
        """The (name, version) pairs that stand beside the versions on the indexes."""
        ...

    def versions(self, name: str) -> tuple[str, ...] | None:
        """Return the versions of what the indexes are not asked for; None for any other name."""
        ...

    def metadata(self, name: str, version: str) -> str:
        """Return the core metadata of a version; KeyError where there is none."""
        ...


@dataclass(frozen=True)
class ResolveRequest:
    """One question to a pip resolver: all requirements at once.

    Attributes:
        requirements: what a person asked for (PEP 508); `name @ file:…` is a wheel on this disk.
        python: the full version of the Python that will run it, as in `3.11.7`.
        pins: (name, version) pairs that the answer must not contradict; what conda owns.
        bounds: further constraints (PEP 508).
        keep: (name, version) pairs to prefer where nothing forbids it.
        exclude_newer: take only files uploaded before this moment; None takes all.
        not_held: normalized names that `exclude_newer` does not concern.
        undated: whether `exclude_newer` leaves out (`hold`) or takes files without an upload time.
        wheels_only: never an sdist, but for `allow_sdist`.
        fresh: ask the index itself, whatever it answered a moment ago.
        pre: take prereleases of everything.
        only_binary, no_binary: normalized names of which only wheels, only sdists are taken.
        yanked: what becomes of a yanked version that a requirement pins (PEP 592).
        shelf: what may be chosen beside what is on the indexes.
        limit: seconds that it may take; None means the tool's own limit.
        hashes: per normalized name the sha256 digests of which a file must have one.
    """

    requirements: tuple[str, ...]
    python: str
    pins: tuple[tuple[str, str], ...] = ()
    bounds: tuple[str, ...] = ()
    keep: tuple[tuple[str, str], ...] = ()
    exclude_newer: datetime | None = None
    not_held: tuple[str, ...] = ()
    undated: Literal["hold", "take"] = "hold"
    wheels_only: bool = True
    allow_sdist: tuple[str, ...] = ()
    fresh: bool = False
    pre: bool = False
    only_binary: tuple[str, ...] = ()
    no_binary: tuple[str, ...] = ()
    hashes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    yanked: Literal["take", "refuse"] = "take"
    shelf: Shelf | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Resolved:
    """One distribution of an answer.

    Attributes:
        index: URL of the index it was found on; "" for a page or directory of archives, and for
            a wheel on this disk.
        required_by: names of the distributions of the answer that need it, sorted.
        requested: whether it is among the requirements.
        on_shelf: whether it is of the request's shelf and not from an index.
    """

    name: str
    version: str
    index: str
    requested: bool
    required_by: tuple[str, ...]
    on_shelf: bool = False


class Resolver(Protocol):
    """Answers which version of everything fits together."""

    name: str

    def asked_pages(self, since: float) -> Mapping[tuple[str, str], bool] | None:
        """Return the pages that were looked up since a moment: an index's URL and a name each.

        With each whether the index was asked, rather than what was kept of its answers. None where
        the tool does not tell which. `since` is one of `time.monotonic`.
        """
        ...

    def version(self) -> str:
        """Return the tool's version."""
        ...

    def begin(self, request: ResolveRequest) -> None:
        """Begin with what will probably be asked soon, while something else is done.

        `resolve` waits for that answer where it is asked the same; else nobody hears of it.
        """
        ...

    def resolve(self, request: ResolveRequest, say: Say) -> tuple[Resolved, ...]:
        """Return one version of every distribution that the requirements need, sorted by name.

        Raises:
            PipConflictError: no set of versions satisfies the requirements.
            PackageNotFoundError: no index has a package of some name.
            NoWheelError: what would fit is there as an sdist only.
            IndexUnreachableError: an index does not answer, or not with a package list.
        """
        ...

    def files(
        self, resolved: tuple[Resolved, ...], request: ResolveRequest, say: Say
    ) -> tuple[Package, ...]:
        """Return the one file of each distribution that fits this platform, as locked packages.

        Raises: as `resolve`.
        """
        ...


def own_index(resolver: Resolver, request: ResolveRequest, say: Say) -> str:
    """Return the index that a resolver has by itself, by where it finds what is asked for, or "".

    Raises: as `Resolver.resolve`.
    """
    return next((each.index for each in resolver.resolve(request, say) if each.index), "")


@dataclass(frozen=True)
class InstallRequest:
    """What to install, all in one command.

    Attributes:
        requirements: content of a requirements file with a hash for each package.
        prefix: the directory that holds `bin/python`.
        indexes: the indexes that the lock names.
        archives: the wheels to install, each of which has the hash that is required. No index is
            then asked.
        site_packages: the directory in the prefix for distributions.
    """

    requirements: str
    prefix: Path
    indexes: Indexes
    archives: tuple[Path, ...] = ()
    site_packages: Path = Path()

    @property
    def links(self) -> tuple[Path, ...]:
        """The directories of the archives."""
        return tuple(dict.fromkeys(each.parent for each in self.archives))


class Installer(Protocol):
    """Installs what is locked and nothing else."""

    name: str

    def install(self, request: InstallRequest, say: Say) -> str:
        """Install everything in one command and return that command for the record.

        What is installed is what the archives hold, whatever lies in a cache.

        Raises:
            IntegrityError: a file does not have the locked hash, or is no package.
            IndexUnreachableError: the index does not answer.
            StorageError: the disk is full.
        """
        ...

    def unpack(self, request: InstallRequest, directory: Path, say: Say) -> None:
        """Install what is requested into `directory`; the prefix stays as it is.

        Its files lie there as below site-packages, and others, as in `bin`, as below the prefix.
        What was installed a moment ago needs no network.

        Raises: as `install`.
        """
        ...

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is cached of these distributions, where prefixes share the cache's files.

        Raises:
            ToolError: the tool could not do it.
        """
        ...

    def inconsistencies(self, prefix: Path, say: Say) -> tuple[str, ...]:
        """Return what the distributions in `prefix` miss of each other (`pip check`), a line each.

        Raises:
            ToolError: the tool could not look.
        """
        ...
