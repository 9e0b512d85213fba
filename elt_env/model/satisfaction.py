"""Whether a lock still satisfies the spec and the policy, and if not, why."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from datetime import timedelta

from packaging.requirements import Requirement

from elt_env.model.conda_spec import CondaSpec, parse_conda_spec
from elt_env.model.lock import WHEEL_BUILD_NUMBER, Lock, Manager, Package
from elt_env.model.markers import applies
from elt_env.model.names import normalize
from elt_env.model.places import changed_places
from elt_env.model.policy import Policy
from elt_env.model.spec import Spec

Matches = Callable[[CondaSpec, Package], bool]
"""Tells whether a conda package satisfies a conda requirement; the conda tool knows."""


def unsatisfied(lock: Lock, spec: Spec, policy: Policy, matches: Matches) -> tuple[str, ...]:
    """Return the reasons why `lock` does not satisfy `spec` and `policy`; empty when it does."""
    reasons = [*changed_places(lock, spec, policy), *_policy_reasons(lock, policy)]
    if lock.spec_digest != spec.digest:
        reasons += _conda_reasons(lock, spec, matches)
        reasons += _pip_reasons(lock, spec)
    if lock.variables != spec.variables:
        reasons.append("the spec's variables changed")
    return tuple(reasons)


def requirement_lines(spec: Spec) -> tuple[str, ...]:
    """Return the spec's channels and requirements as the lock records them."""
    return (
        *(f"channel: {channel}" for channel in spec.channels),
        f"conda: {spec.python_spec}",
        *(f"conda: {each}" for each in spec.conda),
        *(f"pip: {each}" for each in spec.pip),
    )


def _policy_reasons(lock: Lock, policy: Policy) -> list[str]:
    reasons = []
    fallback = policy.channel_fallback == "host" and lock.channel_source == "host"
    if fallback and any(map(_is_superseded, lock.conda)):
        reasons.append("it was made from a host channel that left out what extras require")
    if policy.wheels_only:
        allowed = {normalize(name) for name in policy.allow_sdist}
        reasons += [
            f"{each.name} {each.version} is an sdist, and the policy wants wheels only"
            for each in lock.pip
            if not each.file_name.endswith(".whl") and each.name not in allowed
        ]
    if policy.cooldown:
        reasons += _young(lock, policy.cooldown, policy.cooldown_exceptions)
    return reasons


def _is_superseded(package: Package) -> bool:
    detail = package.conda
    return bool(detail and detail.distributions and detail.build_number < WHEEL_BUILD_NUMBER)


def _young(lock: Lock, cooldown: timedelta, exceptions: Iterable[str]) -> list[str]:
    limit = lock.locked_at - cooldown
    days = cooldown / timedelta(days=1)
    free = {normalize(name) for name in exceptions}
    return [
        f"{each.name} {each.version} was younger than the cool-down of {days:g} days"
        for each in lock.packages
        if each.released_at is not None
        and each.released_at > limit
        and normalize(each.name) not in free
    ]


def _conda_reasons(lock: Lock, spec: Spec, matches: Matches) -> list[str]:
    before = {parse_conda_spec(line).name for line in _asked(lock, "conda")}
    locked = {each.name: each for each in lock.conda}
    now = {each.name: each for each in (spec.python_spec, *spec.conda)}
    remote = lock.channel_source == "remote"
    reasons = []
    for name, wanted in now.items():
        package = locked.get(name)
        if package is None or name not in before:
            reasons.append(f"conda: {wanted} is new in the spec")
        elif not matches(wanted if remote else replace(wanted, channel=""), package):
            reasons.append(f"conda: {name} {package.version} is locked, the spec wants {wanted}")
    return reasons + _gone("conda", before, now)


def _pip_reasons(lock: Lock, spec: Spec) -> list[str]:
    before = _that_apply(_asked(lock, "pip"), lock)
    now = _that_apply(spec.pip, lock)
    held = lock.distributions
    reasons = []
    for name, wanted in now.items():
        version = held.get(name)
        if version is None or name not in before:
            reasons.append(f"pip: {wanted} is new in the spec")
        elif not wanted.specifier.contains(version, prereleases=True):
            reasons.append(f"pip: {name} {version} is locked, the spec wants {wanted}")
        elif wanted.extras != before[name].extras:
            reasons.append(f"pip: the extras of {wanted} changed in the spec")
    return reasons + _gone("pip", before, now)


def _that_apply(lines: Iterable[str], lock: Lock) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    for each in map(Requirement, lines):
        if applies(each, lock.python.version):
            joined = found.setdefault(each.name, each)
            joined.specifier &= each.specifier
            joined.extras |= each.extras
    return found


def _asked(lock: Lock, manager: Manager) -> list[str]:
    head = f"{manager}: "
    return [line.removeprefix(head) for line in lock.requirements if line.startswith(head)]


def _gone(manager: Manager, before: Iterable[str], now: Container[str]) -> list[str]:
    names = sorted(name for name in before if name not in now)
    return [f"{manager}: {name} is no longer asked for" for name in names]
