"""A lock file of another tool as it stands, before a channel or an index is asked for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from packaging.requirements import Requirement

from elt_env.spec.direct import DirectRequirement
from elt_env.spec.markers import applies


@dataclass(frozen=True)
class ForeignFile:
    """A file of a distribution.

    Attributes:
        name: the file's name.
        sha256: hex digest.
        url: where it is; "" where the lock file does not say.
    """

    name: str
    sha256: str
    url: str = ""
    size: int | None = None
    uploaded: datetime | None = None


@dataclass(frozen=True)
class ForeignPackage:
    """A distribution that pip installs.

    Attributes:
        name: normalized.
        version: "" for what a URL names alone.
        files: the files of which one is to be taken, wheels and sdists.
        hashes: hex digests of such files, where no more is said of them.
        index: URL of its index; "" where the lock file does not say.
        extras: those that are asked for, as far as the lock file says.
        direct: the URL that it comes from, in place of an index.
        any_file: whether any file of that version will do, since nothing tells its hash.
    """

    name: str
    version: str
    files: tuple[ForeignFile, ...] = ()
    hashes: tuple[str, ...] = ()
    index: str = ""
    extras: tuple[str, ...] = ()
    direct: DirectRequirement | None = None
    any_file: bool = False

    @property
    def sha256s(self) -> frozenset[str]:
        """The digests of which the locked file must have one."""
        return frozenset((*self.hashes, *(each.sha256 for each in self.files)))


@dataclass(frozen=True)
class ForeignArchive:
    """A conda package: its URL, and its hash where the lock file tells it."""

    url: str
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True)
class ForeignLock:
    """What a lock file holds of the packages for one target.

    Attributes:
        source: the file, as messages name it.
        conda: conda's packages; None where the format has none.
        pip: pip's packages.
        channels: URLs or names of the conda channels, the first has priority; () if not told.
        indexes: URLs of the package indexes that it names for all packages.
        roots: requirements (PEP 508) that a person made, where the file tells them.
        groups: the extras, groups or environments that can be taken beside the main ones.
        notes: what of it no lock can hold, a sentence each.
    """

    source: str
    conda: tuple[ForeignArchive, ...] | None = None
    pip: tuple[ForeignPackage, ...] = ()
    channels: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is to be taken of a lock file.

    Attributes:
        python: the full version of Python; the minor alone where only conda's half is read.
        platform: the conda subdir.
        groups: extras, dependency groups or environments to take beside the main ones.
    """

    python: str
    platform: str
    groups: tuple[str, ...] = ()

    def admits(self, marker: str, extras: Iterable[str] = ()) -> bool:
        """Tell whether a marker (PEP 508) holds, "" always.

        Raises:
            ValueError: it is no marker.
        """
        return not marker or applies(Requirement(f"it; {marker}"), self.python, extras)


Select = Callable[[Wanted], ForeignLock]
"""Returns what is wanted of a lock file, InputError where that cannot be locked."""
