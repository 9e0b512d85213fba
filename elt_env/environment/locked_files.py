"""The files of a lock's packages: those that are kept, and the others fetched or made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.lockfile.document import Lock, Package
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say
from elt_env.project.policy import Policy
from elt_env.runtime.cancelling import side_by_side

if TYPE_CHECKING:
    from elt_env.index.download import Downloads
    from elt_env.pip.direct_wheels import DirectWheels

_AT_ONCE = 8  # downloads; more look-ups of names at once stall


@dataclass(frozen=True)
class PipFiles:
    """Where the files of pip's packages come from.

    Attributes:
        downloads: fetches what has a URL.
        direct_wheels: fetches or builds what no index has, and builds sdists.
        indexes: those of this machine's settings.
        policy: whether what has no date of release may be taken for builds.
    """

    downloads: Downloads
    direct_wheels: DirectWheels
    indexes: Indexes
    policy: Policy


def newest_for_builds(exclude_newer: datetime | None, policy: Policy) -> datetime | None:
    """Return the moment after which no build requirement may be released, None for any.

    Where the policy takes files without an upload time, a builder could take none of them.
    """
    return exclude_newer if policy.undated_releases == "hold" else None


def locked_files(
    packages: Iterable[Package], lock: Lock, files: PipFiles, say: Say
) -> dict[str, Path]:
    """Return by their sha256 the files of packages of a lock, fetched where they are not kept.

    Raises: as `Downloads.fetch` and `DirectWheels.get_locked`.
    """

    def fetch(package: Package) -> Path:
        if package.manager == "pip" and package.index is None:
            return locked_file(package, lock, files, say)
        return files.downloads.fetch(package.url, package.sha256, say)

    wanted = {each.sha256: each for each in packages}
    with files.downloads.connected():
        # Who interrupts does not wait for a server that is slow to answer.
        paths = side_by_side(fetch, wanted.values(), _AT_ONCE, wait=False)
    return dict(zip(wanted, paths, strict=True))


def locked_file(package: Package, lock: Lock, files: PipFiles, say: Say) -> Path:
    """Return the file of a package of a lock that no index has.

    Raises: as `DirectWheels.get_locked`.
    """
    return files.direct_wheels.get_locked(
        package,
        lock.target.python,
        files.indexes.locked_to(lock.indexes),
        say,
        exclude_newer=newest_for_builds(lock.exclude_newer, files.policy),
    )
