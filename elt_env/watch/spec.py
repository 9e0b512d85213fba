"""Watch the spec: whether the lock still satisfies what a person wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from elt_env.lock.lock_tools import LockTools
from elt_env.lock.satisfaction import unsatisfied
from elt_env.package.canonical import digest_of, short
from elt_env.package.target import Target
from elt_env.project.platforms import platforms_of
from elt_env.spec.document import Spec
from elt_env.watch.decide import Outcome, Watcher, no_lock
from elt_env.watch.state import Ask, TargetState, listed, shortened


def look_at_spec(target: Target, memory: TargetState, watcher: Watcher) -> Outcome:
    """Compare the target's lock with the spec and the policy; reads files only.

    Raises:
        SpecError: the spec cannot be used.
        IntegrityError: the lock was changed by hand.
    """
    tools = watcher.tools
    spec = tools.project.spec(target.environment)
    lock = tools.store.current_lock(target)
    if lock is None:
        return no_lock(target)
    reasons = unsatisfied(lock, spec, tools.project.policy, tools.conda.matches)
    reasons += tuple(_of_other_platforms(target, spec, tools))
    if not reasons:
        return Outcome("the lock satisfies the spec and the policy", TargetState())
    fingerprint = digest_of([lock.digest, spec.digest, list(reasons)])
    if fingerprint == memory.fingerprint:
        return Outcome(f"nothing changed since the last decision: {memory.outcome}", memory)
    trigger = shortened(listed(reasons, "; "))
    ask = Ask(f"{target.name} {short(fingerprint)}", "build", target.python, trigger)
    told = f"a run was asked for: {trigger}"
    return Outcome(told, TargetState(fingerprint, told, ask), ask)


def _of_other_platforms(target: Target, spec: Spec, tools: LockTools) -> Iterator[str]:
    """Yield why the target has to be locked anew for other platforms of the policy."""
    for platform in platforms_of(tools.project.environment(target.environment))[1:]:
        other = replace(target, platform=platform)
        lock = tools.store.current_lock(other)
        if lock is None:
            yield f"there is no lock of {other}"
            continue
        for each in unsatisfied(lock, spec, tools.project.policy, tools.conda.matches):
            yield f"{other}: {each}"
