"""Lock a target for the other platforms that the policy lists."""

from __future__ import annotations

import logging
from dataclasses import replace

from elt_env.errors import EltEnvError, PlatformsError
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.make import Locked, lock, still_locked
from elt_env.machine.process import Say
from elt_env.project.platforms import platforms_of


def lock_others(
    locked: Locked,
    tools: LockTools,
    say: Say,
    *,
    upgrade: tuple[str, ...] | None = (),
    accepted: tuple[str, ...] = (),
) -> tuple[Locked, ...]:
    """Return the locks of the target's other platforms, made as its own one was.

    A name to upgrade that one of them has not is no fault there.

    Raises:
        PlatformsError: some have no lock that satisfies; the others have theirs.
    """
    own = locked.lock.target
    if own.is_foreign:
        return ()
    done, failed = [], []
    for platform in platforms_of(tools.project.environment(own.environment))[1:]:
        target = replace(own, platform=platform)
        try:
            asked = still_locked(upgrade, target, tools.store)
            done.append(lock(target, tools, say, upgrade=asked, accepted=accepted))
        except EltEnvError as error:
            say(f"lock: {target} is not locked: {error.problem}", logging.WARNING)
            failed.append((target, error))
    if failed:
        raise PlatformsError(
            "\n".join(f"{target} is not locked: {error.problem}" for target, error in failed),
            f"{failed[0][1].remedy} Or take the platform out of 'platforms' of the environment; "
            f"{own.name} itself is locked.",
        )
    return tuple(done)
