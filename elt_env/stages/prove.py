"""Prove: checks on a sealed prefix, each leaving evidence under the lock's digest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from elt_env.errors import ToolError
from elt_env.model.evidence import Evidence, Status
from elt_env.model.lock import Lock
from elt_env.tools.files import write_atomically
from elt_env.tools.modules import import_all, modules_by_distribution
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What a check saw.

    Attributes:
        detail: for a person, in a line or few; the culprit first.
        log: everything it saw.
    """

    status: Status
    detail: str
    log: str = ""


Check = Callable[[Prefix, Toolbox, Say], Finding]


def pip_check(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """Every distribution finds the distributions it needs, in versions that it admits."""
    faults = toolbox.installer.inconsistencies(prefix.path, say)
    if faults:
        return Finding("failed", _first(faults), "\n".join(faults))
    return Finding("passed", f"{len(prefix.lock.distributions)} distributions fit together")


def imports(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """The top-level modules of every installed distribution import, but for the allow-list."""
    owners = modules_by_distribution(prefix)
    owner_of = {module: name for name, modules in owners.items() for module in modules}
    limit = toolbox.policy.tool_limit.total_seconds()
    results = import_all(owner_of, prefix, limit, say)
    allowed = toolbox.environment.imports_allow
    faults = [each for each in results if each.fault]
    bad = [each for each in faults if not _is_allowed(each.module, allowed)]
    lines = [
        f"{each.module} of {owner_of[each.module]} "
        f"{prefix.lock.distributions.get(owner_of[each.module], '')}: {each.fault}"
        for each in bad
    ]
    log = "\n".join(
        f"{each.seconds:8.3f} s  {each.module}  {each.fault or 'ok'}" for each in results
    )
    if lines:
        return Finding("failed", _first(lines), log)
    excused = [each.module for each in faults]
    note = f"; allowed to fail: {', '.join(excused)}" if excused else ""
    return Finding("passed", f"{len(results) - len(faults)} modules import{note}", log)


def _is_allowed(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == each or module.startswith(each + ".") for each in allowed)


def _first(lines: list[str] | tuple[str, ...]) -> str:
    more = f"\nand {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return "\n".join(lines[:_NAMED]) + more


CHECKS: dict[str, Check] = {"pip_check": pip_check, "imports": imports}
"""The checks on a prefix by name; each is blocking."""


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
    prefix = Prefix(toolbox.store.prefix_path(lock), lock)
    if not prefix.ready:
        raise ToolError(
            f"The prefix {prefix.path} is not built, so {name} has nothing to check.",
            f"Build it: elt-env build {lock.target.name}",
        )
    say(f"{name}: checking {prefix.path}")
    start = time.monotonic()
    finding = CHECKS[name](prefix, toolbox, say)
    path = toolbox.store.log_path(lock.digest, name)
    write_atomically(path, finding.log + "\n")
    evidence = Evidence(
        check=name,
        status=finding.status,
        at=toolbox.now().replace(microsecond=0),
        seconds=round(time.monotonic() - start, 3),
        detail=finding.detail,
        log=path.relative_to(toolbox.store.home).as_posix(),
    )
    toolbox.store.record(lock.digest, evidence)
    say(f"{name}: {finding.status}: {finding.detail}")
    return evidence
