"""The files of a lock's packages: those that are kept, and the others fetched or made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.runtime.cancelling import side_by_side
from elt_env.toolbox import Toolbox

_AT_ONCE = 8  # downloads; more look-ups of names at once stall


def newest_for_builds(exclude_newer: datetime | None, toolbox: Toolbox) -> datetime | None:
    """Return the moment after which no build requirement may be released, None for any.

    Where the policy takes files without an upload time, a builder could take none of them.
    """
    return exclude_newer if toolbox.policy.undated_releases == "hold" else None


def locked_files(
    packages: Iterable[Package], lock: Lock, toolbox: Toolbox, say: Say
) -> dict[str, Path]:
    """Return by their sha256 the files of packages of a lock, fetched where they are not kept.

    Raises: as `Downloads.fetch` and `DirectWheels.get_locked`.
    """

    def fetch(package: Package) -> Path:
        if package.manager == "pip" and package.index is None:
            return locked_file(package, lock, toolbox, say)
        return toolbox.downloads.fetch(package.url, package.sha256, say)

    wanted = {each.sha256: each for each in packages}
    with toolbox.downloads.connected():
        # Who interrupts does not wait for a server that is slow to answer.
        files = side_by_side(fetch, wanted.values(), _AT_ONCE, wait=False)
    return dict(zip(wanted, files, strict=True))


def locked_file(package: Package, lock: Lock, toolbox: Toolbox, say: Say) -> Path:
    """Return the file of a package of a lock that no index has.

    Raises: as `DirectWheels.get_locked`.
    """
    return toolbox.direct_wheels.get_locked(
        package,
        lock.target.python,
        toolbox.indexes.locked_to(lock.indexes),
        say,
        exclude_newer=newest_for_builds(lock.exclude_newer, toolbox),
    )
