"""Watch Pythons: new patch releases of what is locked, and minors that nobody has looked at."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from elt_env.errors import ChannelUnreachableError
from elt_env.machine.platform import target_here
from elt_env.package.canonical import digest_of
from elt_env.package.names import normalize
from elt_env.package.target import Target, minor_of
from elt_env.project.project import Project
from elt_env.python.interpreters import list_interpreters
from elt_env.runtime.clock import Clock
from elt_env.watch.decide import Outcome, Watcher, decide, no_lock
from elt_env.watch.newer_pythons import Offered, PythonRules, new_minors, new_patches
from elt_env.watch.state import Ask, Cursor, Sight, TargetState


@dataclass(frozen=True)
class _Offer:
    """The Pythons that an environment could be locked for.

    Attributes:
        place: where they were found, for a person.
        is_host: whether they are this machine's own, since the channels cannot be reached.
    """

    pythons: tuple[Offered, ...]
    place: str
    is_host: bool


def look_at_python(target: Target, memory: TargetState, watcher: Watcher) -> Outcome:
    """Look for a patch release of the target's Python, and decide what follows.

    Raises:
        ChannelUnreachableError: the channels do not answer, and the policy has no fallback.
        EltEnvError: the spec or the lock cannot be read, or a new lock not be made.
    """
    lock = watcher.tools.store.current_lock(target)
    if lock is None:
        return no_lock(target)
    offer = _offer(target, watcher)
    rules = _rules(target.environment, offer, watcher.tools.project, watcher.tools.store.now)
    found = new_patches(lock.python.version, offer.pythons, rules)
    sight = Sight(
        looked_at=f"Python {target.python} {offer.place}",
        usable=tuple(each for each in found if each.usable),
        ignored=tuple(each for each in found if not each.usable)[:1],
    )
    return decide(lock, sight, memory, watcher)


def look_at_minors(
    environment: str, tracked: tuple[str, ...], cursor: Cursor, watcher: Watcher
) -> dict[str, Outcome]:
    """Look for Python minors after the tracked ones; ask for a readiness run of each version once.

    What is there at the first look, when `cursor` of the tick before knows nothing, is left to a
    person. Returned is what came of it by the target that would be new, as in `elt@3.14`.

    Raises: as `look_at_python`.
    """
    tools = watcher.tools
    offer = _offer(target_here(environment, tracked[0]), watcher)
    is_first = not any(each.startswith(f"{environment}@") for each in cursor.targets)
    found: dict[str, Outcome] = {}
    for each in new_minors(
        tracked, offer.pythons, _rules(environment, offer, tools.project, tools.store.now)
    ):
        minor = minor_of(each.version)
        name = f"{environment}@{minor}"
        fingerprint = digest_of([name, each.version])
        if not each.usable:
            found[name] = Outcome(f"{each.name} {each.reason}")
        elif cursor.of(name).fingerprint == fingerprint:
            found[name] = Outcome(cursor.of(name).outcome)
        elif is_first:
            told = (
                f"python {each.version} is {offer.place}; on which Pythons the environment can be "
                f"had, the asset {environment}/python_readiness tells"
            )
            found[name] = Outcome(told, TargetState(fingerprint, told))
        else:
            told = f"python {each.version} is new {offer.place}: a readiness run was asked for"
            ask = Ask(
                f"{environment} python {each.version}",
                "python_readiness",
                minor,
                f"python {each.version} is new",
            )
            found[name] = Outcome(told, TargetState(fingerprint, told), ask)
    return found


def _offer(target: Target, watcher: Watcher) -> _Offer:
    tools = watcher.tools
    channels = tools.channels.of(tools.project.spec(target.environment))
    return watcher.tick.once(("pythons", channels), lambda: _find(channels, target, watcher))


def _find(channels: tuple[str, ...], target: Target, watcher: Watcher) -> _Offer:
    tools = watcher.tools
    try:
        builds = tools.conda.releases(channels, ("python",), target.platform)["python"]
    except ChannelUnreachableError as error:
        if tools.project.policy.channel_fallback == "none":
            raise
        watcher.say(error.problem, logging.WARNING)
        usable, _ = list_interpreters()
        place = "on this machine, since the channels cannot be reached (channel-fallback = host)"
        return _Offer(tuple(Offered(each.version, None) for each in usable), place, is_host=True)
    pythons = tuple(Offered(each.version, each.released_at) for each in builds)
    return _Offer(pythons, f"in {', '.join(channels)}", is_host=False)


def _rules(environment: str, offer: _Offer, project: Project, now: Clock) -> PythonRules:
    policy = project.policy
    # What is installed on this machine was somebody's choice already.
    exempt = offer.is_host or "python" in map(normalize, policy.cooldown_exceptions)
    return PythonRules(
        bound=project.spec(environment).python,
        now=now(),
        cooldown=timedelta(0) if exempt else policy.cooldown,
        undated=policy.undated_releases,
    )
