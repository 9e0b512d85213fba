"""The request for a lock: one question, answered by conda and pip together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from elt_env.lock.releases import Rules
from elt_env.lockfile.document import ChannelSource, Lock, Package
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.package.platform import Platform, python_on
from elt_env.package.target import Target
from elt_env.pip.direct_wheels import DirectWheel
from elt_env.project.platforms import find_platform
from elt_env.project.policy import Policy
from elt_env.python.wheel_tags import wheel_tags
from elt_env.runtime.clock import Clock
from elt_env.spec.document import Spec
from elt_env.spec.pip_options import PipOptions


@dataclass(frozen=True)
class LockRequest:
    """What to lock.

    Attributes:
        exclude_newer: only releases before this moment are considered; None takes all.
        not_held: normalized names of packages that `exclude_newer` does not concern.
        undated: what `exclude_newer` makes of files without an upload time.
        previous: the lock to stay close to, if any.
        upgrade: names that may move away from `previous`; None means all may.
        reasons: why there is a question at all, for a person.
        directs: the wheels of what the spec names by URL.
        accepted: names of packages that may come from another index or channel than before.
        platform: the platform of the target; None is this machine as it is found.
    """

    target: Target
    spec: Spec
    exclude_newer: datetime | None
    previous: Lock | None = None
    upgrade: tuple[str, ...] | None = ()
    reasons: tuple[str, ...] = ()
    not_held: tuple[str, ...] = ()
    undated: Literal["hold", "take"] = "hold"
    directs: tuple[DirectWheel, ...] = ()
    accepted: tuple[str, ...] = ()
    platform: Platform | None = None

    @property
    def pip(self) -> tuple[str, ...]:
        """What is asked of pip (PEP 508), what the spec names by URL as wheels on this disk."""
        return (*self.spec.pip, *(each.requirement for each in self.directs))

    @property
    def options(self) -> PipOptions:
        """What the spec says of how pip is to choose."""
        return self.spec.pip_options

    def keep_conda(self, source: ChannelSource) -> tuple[Package, ...]:
        """Return the conda packages to prefer: those of the previous lock from the same source."""
        if self.previous is None or self.previous.channel_source != source:
            return ()
        return tuple(each for each in self.previous.conda if self._stays(each))

    @property
    def keep_pip(self) -> tuple[tuple[str, str], ...]:
        """The (name, version) pairs of the previous lock to prefer."""
        if self.previous is None:
            return ()
        return tuple((each.name, each.version) for each in self.previous.pip if self._stays(each))

    def _stays(self, package: Package) -> bool:
        name = normalize(package.name)
        return self.upgrade is not None and name not in self.upgrade and self._is_old(package)

    def _is_old(self, package: Package) -> bool:
        limit, moment = self.exclude_newer, package.released_at
        if limit is None or moment is None or normalize(package.name) in self.not_held:
            return True
        return not is_too_young(moment, limit)


def ask(  # noqa: PLR0913  # one keyword for each part of a question
    target: Target,
    spec: Spec,
    policy: Policy,
    now: Clock,
    *,
    upgrade: tuple[str, ...] | None = (),
    previous: Lock | None = None,
    reasons: tuple[str, ...] = (),
    accepted: tuple[str, ...] = (),
) -> LockRequest:
    """Return the question for `target` as of now, the policy's cool-down applied."""
    cooldown = policy.cooldown
    return LockRequest(
        target=target,
        spec=spec,
        exclude_newer=now().replace(microsecond=0) - cooldown if cooldown else None,
        previous=previous,
        upgrade=upgrade if upgrade is None else tuple(normalize(each) for each in upgrade),
        reasons=reasons,
        not_held=_not_held(policy),
        undated=policy.undated_releases,
        accepted=accepted,
        platform=find_platform(target.platform, policy),
    )


def rules_for(lock: Lock, spec: Spec, policy: Policy, now: Clock) -> Rules:
    """Return what a release must fulfil, as of now, to take a place in a lock of that spec."""
    moment = now().replace(microsecond=0)
    return _rules(spec, lock.python.version, lock.target.platform, moment, policy)


def release_rules(question: LockRequest, python: str, policy: Policy, now: Clock) -> Rules:
    """Return what a release must fulfil to be an answer under that full Python version."""
    limit = question.exclude_newer
    moment = limit + policy.cooldown if limit else now().replace(microsecond=0)
    return _rules(question.spec, python, question.target.platform, moment, policy)


def _rules(spec: Spec, python: str, platform: str, now: datetime, policy: Policy) -> Rules:
    python = python_on(python, find_platform(platform, policy))
    return Rules(
        spec=spec.source,
        requirements=(*spec.pip, *pre_release_bounds(policy)),
        python=python,
        platform=platform,
        tags=frozenset(wheel_tags(python)),
        now=now,
        cooldown=policy.cooldown,
        not_held=_not_held(policy),
        undated=policy.undated_releases,
        wheels_only=policy.wheels_only,
        allow_sdist=tuple(normalize(each) for each in policy.allow_sdist),
    )


def pre_release_bounds(policy: Policy) -> tuple[str, ...]:
    """Return the bounds that let pre-releases of single distributions in (PEP 440)."""
    return tuple(f"{normalize(each)}>=0.dev0" for each in policy.pre_releases)


def _not_held(policy: Policy) -> tuple[str, ...]:
    return tuple(normalize(each) for each in policy.cooldown_exceptions)
