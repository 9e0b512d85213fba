"""Tell a person how to accept what a check found, and why not to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from elt_env.lockfile.document import Lock
from elt_env.project.own_checks import IN_IMAGE
from elt_env.project.policy import EnvironmentPolicy
from elt_env.proof.checks import CHECKS
from elt_env.proof.checks.applies import lacking
from elt_env.proof.checks.registry import is_blocking
from elt_env.store.evidence import Evidence


def ways_to_accept(failed: Sequence[Evidence], policy: EnvironmentPolicy, lock: Lock) -> list[str]:
    """Return a sentence about each check that keeps a release back, with the policy's key for it.

    Checks on images have none: an image that does not hold is packed again. What failed may be an
    old version that others hold back: that comes first.
    """
    table = f"[tool.elt-env.environments.{lock.target.environment}]"
    named = [each for each in failed if each.failed and is_blocking(each.check, policy)]
    ways = [_own_way(each, policy, table) for each in named]
    found = " ".join(each.detail for each in named)
    old = [each for each in lock.held_back if f" {each.name} {each.version}" in f" {found} "]
    lines = [*map(str, old), *(each for each in ways if each)]
    rest = [
        each.check
        for each, way in zip(named, ways, strict=True)
        if each.check in CHECKS and not way
    ]
    if rest:
        lines.append(_without(rest, policy, lock, table))
    return lines


def to_mend(failed: Iterable[Evidence], policy: EnvironmentPolicy) -> str:
    """Return what is to be changed where checks failed: a team's own ones are of its projects."""
    names = {each.check.removesuffix(IN_IMAGE) for each in failed if each.failed}
    own = bool(names) and names <= policy.checks.keys()
    return "Change your own project, or the spec," if own else "Change the spec"


def _own_way(evidence: Evidence, policy: EnvironmentPolicy, table: str) -> str:
    name = evidence.check.removesuffix(IN_IMAGE)
    if name in policy.checks:
        return (
            f"To release all the same, set blocking = false in {table[:-1]}.checks.{name}]; better "
            "not: your own project does not run in this environment."
        )
    if name == "imports" and evidence.table is not None:
        return (
            "If nobody here uses these modules, set imports-allow = "
            f"[{_listed(_modules(evidence))}] in {table}; better not: whatever imports them fails."
        )
    if (
        name == "mixed_managers"
        and policy.shared_files == "refuse"
        and evidence.counts.get("shared_files")
    ):
        return (
            "If both distributions work with the file that stayed, set shared-files = "
            f'"warn" in {table}; better not: one of them runs the other\'s code.'
        )
    return ""


def _modules(evidence: Evidence) -> Iterator[str]:
    rows = evidence.table.rows if evidence.table else ()
    yield from (str(row[0]) for row in rows)


def _without(names: Sequence[str], policy: EnvironmentPolicy, lock: Lock, table: str) -> str:
    """Return how a release is had without some of the checks."""
    required = policy.required_checks
    apply = [name for name in CHECKS if not lacking(name, lock)]
    known = [*apply, *(name for name, each in policy.checks.items() if each.blocking)]
    left = [each for each in (known if required is None else required) if each not in names]
    return (
        f"If it works for you all the same, leave {', '.join(names)} out: set required-checks = "
        f"[{_listed(left)}] in {table}; better not: no later lock is held back by it either."
    )


def _listed(names: Sequence[str] | Iterator[str]) -> str:
    return ", ".join(f'"{each}"' for each in names)
