"""Prove: checks on a sealed prefix, each leaving evidence under the lock's digest."""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from elt_env.errors import BusyError, NetworkError, ToolError
from elt_env.model.evidence import Evidence
from elt_env.model.lock import Lock
from elt_env.stages.checks import CHECKS, HEALTH_CHECKS, SMOKE_CHECKS, Check, Finding
from elt_env.tools.files import write_atomically
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

__all__ = ["CHECKS", "HEALTH_CHECKS", "SMOKE_CHECKS", "Check", "Finding", "prove", "prove_all"]

_AT_ONCE = 2


def prove(name: str, lock: Lock, toolbox: Toolbox, say: Say, *, again: bool = False) -> Evidence:
    """Return the evidence of one check on the lock's prefix, recorded in the store.

    A check that held for this digest before is not run again unless `again`.

    Raises:
        ToolError: the prefix is not there to be checked.
        StorageError: the evidence cannot be kept.
    """
    if not again:
        known = {each.check: each for each in toolbox.store.evidence(lock.digest)}
        if name in known and known[name].holds:
            say(f"{name}: held for this lock on {known[name].at:%Y-%m-%d %H:%M}, not run again")
            return known[name]
    prefix = _require_prefix(name, lock, toolbox)
    say(f"{name}: checking {prefix.path}")
    start = time.monotonic()
    finding = HEALTH_CHECKS[name](prefix, toolbox, say)
    evidence = _kept(name, finding, time.monotonic() - start, lock, toolbox)
    say(f"{name}: {finding.status}: {finding.detail}")
    return evidence


def prove_all(
    lock: Lock,
    toolbox: Toolbox,
    say: Say,
    *,
    names: Collection[str] | None = None,
    again: bool = False,
) -> tuple[Evidence, ...]:
    """Return the evidence of several checks in their order, two at a time, all recorded.

    A check that could not run leaves `not_run` with the reason, which never holds; the others go
    on. With `names`, only those are run; all health checks otherwise.

    Raises:
        ToolError: the prefix is not there to be checked.
        StorageError: the evidence cannot be kept.
    """
    wanted = [each for each in HEALTH_CHECKS if names is None or each in names]
    _require_prefix(", ".join(wanted), lock, toolbox)

    def attempt(name: str) -> Evidence:
        start = time.monotonic()
        try:
            return prove(name, lock, toolbox, say, again=again)
        except (NetworkError, BusyError, ToolError) as error:
            finding = Finding("not_run", f"could not run: {error.problem}", str(error))
            say(f"{name}: {finding.detail}")
            return _kept(name, finding, time.monotonic() - start, lock, toolbox)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            return tuple(pool.map(attempt, wanted))
        finally:
            # What was not begun is not: the interrupt of a person, or a full disk, ends it all.
            pool.shutdown(wait=False, cancel_futures=True)


def _require_prefix(checks: str, lock: Lock, toolbox: Toolbox) -> Prefix:
    prefix = Prefix(toolbox.store.prefix_path(lock), lock)
    if not prefix.ready:
        raise ToolError(
            f"The prefix {prefix.path} is not built, so {checks} has nothing to check.",
            f"Build it: elt-env build {lock.target.name}",
        )
    return prefix


def _kept(name: str, finding: Finding, seconds: float, lock: Lock, toolbox: Toolbox) -> Evidence:
    path = toolbox.store.log_path(lock.digest, name)
    write_atomically(path, finding.log + "\n")
    evidence = Evidence(
        check=name,
        status=finding.status,
        at=toolbox.now().replace(microsecond=0),
        seconds=round(seconds, 3),
        detail=finding.detail,
        log=path.relative_to(toolbox.store.home).as_posix(),
    )
    toolbox.store.record(lock.digest, evidence)
    return evidence
