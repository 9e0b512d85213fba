"""Find the reasons for which a lock no longer satisfies the spec and the policy."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from datetime import timedelta

from packaging.requirements import Requirement

from elt_env.lock.places import changed_places
from elt_env.lockfile.document import WHEEL_BUILD_NUMBER, Lock, Manager, Package
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.package.platform import Platform, python_on
from elt_env.project.policy import Policy
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from elt_env.spec.document import Spec
from elt_env.spec.markers import applies
from elt_env.spec.pip_options import option_lines

Matches = Callable[[CondaSpec, Package], bool]
"""Tells whether a conda package satisfies a conda requirement; the conda tool knows."""


def unsatisfied(lock: Lock, spec: Spec, policy: Policy, matches: Matches) -> tuple[str, ...]:
    """Return the reasons why `lock` does not satisfy `spec` and `policy`; empty when it does."""
    reasons = [*changed_places(lock, spec, policy), *_policy_reasons(lock, policy)]
    # A lock that does not say its places is of a time when channels in requirements did not count.
    if lock.spec_digest != spec.digest or lock.places is None:
        reasons += _conda_reasons(lock, spec, matches)
        reasons += _pip_reasons(lock, spec)
        reasons += _direct_reasons(lock, spec)
        reasons += _constraint_reasons(lock, spec)
        reasons += _option_reasons(lock, spec)
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
        *(f"direct: {each}" for each in spec.directs),
        *(f"constraint: {each}" for each in spec.constraints),
        *(f"option: {each}" for each in option_lines(spec.pip_options)),
    )


def _policy_reasons(lock: Lock, policy: Policy) -> list[str]:
    reasons = []
    fallback = policy.channel_fallback == "host" and lock.channel_source == "host"
    if fallback and any(map(_is_superseded, lock.conda)):
        reasons.append("it was made from a host channel that left out what extras require")
    if policy.wheels_only:
        allowed = {normalize(name) for name in policy.allow_sdist}
        reasons += [
            f"{each.name} {each.version} {_kind(each)}, and the policy wants wheels only"
            for each in lock.pip
            if _is_from_source(each) and each.name not in allowed
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
        and is_too_young(each.released_at, limit)
        and normalize(each.name) not in free
    ]


def _conda_reasons(lock: Lock, spec: Spec, matches: Matches) -> list[str]:
    before = {parse_conda_spec(line).name for line in _asked(lock, "conda")}
    locked = {"python": lock.python, **{each.name: each for each in lock.conda}}
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


def _direct_reasons(lock: Lock, spec: Spec) -> list[str]:
    before = dict.fromkeys(_lines(lock, "direct"))
    now = dict.fromkeys(str(each) for each in spec.directs)
    return [
        *(f"pip: {each} is new in the spec" for each in now if each not in before),
        *(f"pip: {each} is no longer asked for" for each in before if each not in now),
    ]


def _constraint_reasons(lock: Lock, spec: Spec) -> list[str]:
    """Return what is locked against a constraint; one that is gone leaves the lock right."""
    held = lock.distributions
    return [
        f"{name} {held[name]} is locked, a constraint of the spec wants {wanted}"
        for name, wanted in _that_apply(spec.constraints, lock).items()
        if name in held and not wanted.specifier.contains(held[name], prereleases=True)
    ]


def _option_reasons(lock: Lock, spec: Spec) -> list[str]:
    hashes = dict(spec.pip_options.hashes)
    reasons = [
        f"pip: the locked file of {each.name} {each.version} has none of the hashes in the spec"
        for each in lock.pip
        if each.sha256 not in hashes.get(each.name, (each.sha256,))
    ]
    if _lines(lock, "option") != list(option_lines(spec.pip_options)):
        reasons.append("pip: the options of the spec's pip list changed")
    return reasons


def _is_from_source(package: Package) -> bool:
    return package.built is not None or not package.file_name.endswith(".whl")


def _kind(package: Package) -> str:
    return "was built from source" if package.built else "is an sdist"


def _that_apply(lines: Iterable[str], lock: Lock) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    platform = Platform(lock.target.platform, ()) if lock.target.is_foreign else None
    python = python_on(lock.python.version, platform)
    for each in map(Requirement, lines):
        if applies(each, python):
            joined = found.setdefault(each.name, each)
            joined.specifier &= each.specifier
            joined.extras |= each.extras
    return found


def _asked(lock: Lock, manager: Manager) -> list[str]:
    return _lines(lock, manager)


def _lines(lock: Lock, kind: str) -> list[str]:
    """Return what the lock was made from, of one kind; see `requirement_lines`."""
    head = f"{kind}: "
    return [line.removeprefix(head) for line in lock.requirements if line.startswith(head)]


def _gone(manager: Manager, before: Iterable[str], now: Container[str]) -> list[str]:
    names = sorted(name for name in before if name not in now)
    return [f"{manager}: {name} is no longer asked for" for name in names]
