"""Find what an environment needs that has no wheel on its indexes."""

from __future__ import annotations

from elt_env.lock.lock_tools import LockTools
from elt_env.lock.make import resolve, solve_unless_kept
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.package.target import Target


def without_wheel(target: Target, tools: LockTools, say: Say) -> tuple[Package, ...]:
    """Return the sdists of the lock that these tools make, whose policy takes some.

    No lock is written.

    Raises: as `elt_env.lock.make.lock`.
    """
    lock = resolve(solve_unless_kept(target, tools, say, in_one_go=True), tools, say).lock
    return tuple(e for e in lock.pip if e.built is None and not e.file_name.endswith(".whl"))
