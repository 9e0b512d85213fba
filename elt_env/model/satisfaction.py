"""Whether a lock still satisfies the spec and the policy, and if not, why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.model.conda_spec import CondaSpec
from elt_env.model.lock import Lock, Package
from elt_env.model.names import normalize
from elt_env.model.policy import Policy
from elt_env.model.spec import Spec

Matches = Callable[[CondaSpec, Package], bool]
"""Tells whether a conda package satisfies a conda requirement; the conda tool knows."""


def unsatisfied(lock: Lock, spec: Spec, policy: Policy, matches: Matches) -> tuple[str, ...]:
    """Return the reasons why `lock` does not satisfy `spec` and `policy`; empty when it does."""
    reasons = list(_policy_reasons(lock, policy))
    if lock.spec_digest != spec.digest:
        reasons += _channel_reasons(lock, spec)
        reasons += _conda_reasons(lock, spec, matches)
        reasons += _pip_reasons(lock, spec)
        reasons += _orphan_reasons(lock, spec)
    return tuple(reasons)


def requirement_lines(spec: Spec) -> tuple[str, ...]:
    """Return the spec's channels and requirements as the lock records them."""
    return (
        *(f"channel: {channel}" for channel in spec.channels),
        f"conda: python {spec.python}".rstrip(),
        *(f"conda: {each}" for each in spec.conda),
        *(f"pip: {each}" for each in spec.pip),
    )


def _policy_reasons(lock: Lock, policy: Policy) -> list[str]:
    reasons = []
    if lock.channel_source == "host" and policy.channel_fallback == "none":
        reasons.append("it was made from the host channel, which the policy no longer allows")
    if policy.wheels_only:
        allowed = {normalize(name) for name in policy.allow_sdist}
        reasons += [
            f"{each.name} {each.version} is an sdist, and the policy wants wheels only"
            for each in lock.pip
            if not each.file_name.endswith(".whl") and each.name not in allowed
        ]
    if policy.cooldown:
        reasons += _young(lock, policy.cooldown)
    return reasons


def _young(lock: Lock, cooldown: timedelta) -> list[str]:
    limit = lock.locked_at - cooldown
    days = cooldown / timedelta(days=1)
    return [
        f"{each.name} {each.version} was younger than the cool-down of {days:g} days"
        for each in lock.pip
        if each.released_at is not None and each.released_at > limit
    ]


def _channel_reasons(lock: Lock, spec: Spec) -> list[str]:
    before = [line for line in lock.requirements if line.startswith("channel: ")]
    now = [f"channel: {channel}" for channel in spec.channels]
    return [] if before == now else ["the spec's channels changed"]


def _conda_reasons(lock: Lock, spec: Spec, matches: Matches) -> list[str]:
    locked = {each.name: each for each in lock.conda}
    reasons = []
    for wanted in (CondaSpec("python", spec.python), *spec.conda):
        package = locked.get(wanted.name)
        if package is None or not package.requested:
            reasons.append(f"conda: {wanted} is new in the spec")
        elif not matches(wanted, package):
            reasons.append(f"conda: {package.version} is locked, the spec wants {wanted}")
    return reasons


def _pip_reasons(lock: Lock, spec: Spec) -> list[str]:
    held = lock.distributions
    asked = {each.name for each in map(Requirement, _asked(lock, "pip"))}
    known_extras = {
        (each.name, extra)
        for each in map(Requirement, _asked(lock, "pip"))
        for extra in each.extras
    }
    reasons = []
    for wanted in map(Requirement, spec.pip):
        version = held.get(wanted.name)
        if version is None or wanted.name not in asked:
            reasons.append(f"pip: {wanted} is new in the spec")
        elif not _admits(wanted.specifier, version):
            reasons.append(f"pip: {wanted.name} {version} is locked, the spec wants {wanted}")
        reasons += [
            f"pip: {wanted.name}[{extra}] is new in the spec"
            for extra in sorted(wanted.extras)
            if wanted.name in asked and (wanted.name, extra) not in known_extras
        ]
    return reasons


def _admits(specifier: SpecifierSet, version: str) -> bool:
    return specifier.contains(version, prereleases=True)


def _asked(lock: Lock, manager: str) -> list[str]:
    head = f"{manager}: "
    return [line.removeprefix(head) for line in lock.requirements if line.startswith(head)]


def _orphan_reasons(lock: Lock, spec: Spec) -> list[str]:
    wanted = {"python", *(each.name for each in spec.conda)}
    wanted_pip = {Requirement(line).name for line in spec.pip}
    orphans = [each.name for each in lock.conda if each.requested and each.name not in wanted]
    asked_pip = [Requirement(line).name for line in _asked(lock, "pip")]
    orphans += [name for name in asked_pip if name not in wanted_pip]
    return [f"{name} is no longer asked for" for name in orphans]
