"""A tick: look at every target, within the time that Dagster gives, and say what came of it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.resources import EltProject
from elt_env.defs.sensors.runs import Runs, claims
from elt_env.defs.sensors.ticks import not_told_before
from elt_env.defs.unloaded import remember_told, told_without_tick
from elt_env.errors import EltEnvError
from elt_env.machine.platform import target_here
from elt_env.package.platform import this_platform
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.release.notice import Notice
from elt_env.release.notify import deliver
from elt_env.watch.decide import Outcome, Tick, Watcher, failed_checks, watcher_of
from elt_env.watch.state import Cursor, TargetState, read_cursor, settled

_SECONDS = 45.0
"""How long a tick may take; Dagster ends it after 60 s (DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS)."""

_TO_LOOK = 5.0  # seconds without which no further target is looked at

WATCHING = ("pypi_release_sensor", "python_version_sensor", "spec_sensor")
"""The sensors whose ticks are walks; trouble that one has told of the others leave out."""

Tracked = Mapping[str, tuple[str, ...]]
"""The Python minors of each environment, as the definitions were made of them."""


def tracked_by(policy: Policy) -> Tracked:
    """Return all targets of a policy."""
    return {name: each.pythons for name, each in policy.environments.items()}


Look = Callable[[Target, TargetState, Watcher], Outcome]
LookBeyond = Callable[[str, tuple[str, ...], Cursor, Watcher], Mapping[str, Outcome]]


class Walk:
    """One tick of a sensor.

    Args:
        name: the sensor's name.
        context: what Dagster gave it.
        project: whose targets are looked at.
        policy: who is told of trouble, also where the project's policy cannot be read any more.

    Attributes:
        cursor: what is remembered; every decision adds to it.
    """

    def __init__(
        self, name: str, context: dg.SensorEvaluationContext, project: EltProject, policy: Policy
    ) -> None:
        self.cursor, note = read_cursor(context.cursor)
        self._before = self.cursor
        self._name = name
        self._context = context
        self._project = project
        self._policy = policy
        self._runs = Runs(context.instance)
        self._tick = Tick(_SECONDS)
        self._told: list[str] = []
        self._requests: list[dg.RunRequest] = []
        self._outcomes: dict[str, Outcome] = {}
        if note:
            self._tell(note)

    def look_at(self, tracked: Tracked, look: Look) -> None:
        """Look at every target, first at those that the last tick had no time for."""
        names = [f"{name}@{python}" for name, minors in tracked.items() for python in minors]
        late = self.cursor.late
        self.cursor = replace(self.cursor, late=())
        for name in sorted(names, key=lambda each: each not in late):
            environment, _, python = name.partition("@")
            self._take(environment, name, self._attempt(environment, python, look))

    def look_beyond(self, environment: str, minors: tuple[str, ...], look: LookBeyond) -> None:
        """Look for what could become targets of an environment."""
        if self._tick.left < _TO_LOOK:
            self._tell(f"{environment}: no time left in this tick to look for new Pythons")
            return
        try:
            found = look(environment, minors, self._before, self._watcher(environment))
        except EltEnvError as error:
            self._take(environment, environment, _trouble(error))
            return
        for name, outcome in found.items():
            self._take(environment, name, outcome)

    def tell_untracked(self, tracked: Tracked) -> None:
        """Tell of targets that the policy has got since the definitions were made."""
        with contextlib.suppress(EltEnvError):  # told of every target already
            policy = self._project.tools(next(iter(tracked))).policy
            for environment, each in policy.environments.items():
                for python in each.pythons:
                    if python not in tracked.get(environment, ()):
                        self._tell(
                            f"{environment}@{python}: is new in the policy; reload the definitions"
                        )

    def result(self) -> dg.SensorResult:
        """Return the runs to be made, or why there are none.

        Raises:
            dagster.Failure: nothing could be looked at; the tick fails, and the next one looks.
        """
        self._notify()
        looks = {each.look for each in self._outcomes.values()}
        if "trouble" in looks and looks.isdisjoint({"done", "unfinished"}):
            raise dg.Failure("\n".join(self._told), allow_retries=False)
        cursor = self.cursor.to_json()
        if self._requests:
            return dg.SensorResult(run_requests=self._requests, cursor=cursor)
        return dg.SensorResult(skip_reason="\n".join(self._told), cursor=cursor)

    def _notify(self) -> None:
        """Tell the webhook of trouble that is new, each kind once, whatever it is about."""
        names: dict[str, list[str]] = {}
        for name, each in self._outcomes.items():
            if each.look == "trouble":
                names.setdefault(each.told, []).append(name)
        instance, otherwise = self._context.instance, told_without_tick()
        lines = not_told_before(names, self._name, WATCHING, instance, otherwise)
        new = [each for each in lines if not claims.claim(("told", each), self._name)]
        remember_told(new)
        for told in new:
            first, *others = names[told]
            detail = f"{told} (so are {', '.join(others)})" if others else told
            deliver(self._notice(first, detail), self._policy, leveled(self._context.log))

    def _notice(self, name: str, detail: str) -> Notice:
        environment, _, python = name.partition("@")
        minors = self._policy.environments[environment].pythons
        target = Target(environment, python or minors[0], this_platform())
        return Notice("blocked", target, detail, None, self._name, "", datetime.now(timezone.utc))

    def _watcher(self, environment: str) -> Watcher:
        """Return what to look with.

        Raises:
            PolicyError: the policy cannot be used, or has no such environment any more.
        """
        tools = self._project.tools(environment)
        return watcher_of(tools, environment, self._tick, leveled(self._context.log))

    def _take(self, environment: str, name: str, outcome: Outcome) -> None:
        """Tell an outcome, remember it and ask for its run."""
        self._outcomes[name] = outcome
        is_trouble = outcome.look == "trouble"
        self._tell(f"{name}: {outcome.told}", logging.WARNING if is_trouble else logging.INFO)
        if outcome.memory is not None:
            self.cursor = self.cursor.with_memory(name, outcome.memory)
        if outcome.look in {"late", "unfinished"}:
            self.cursor = replace(self.cursor, late=(*self.cursor.late, name))
        if outcome.ask is not None:
            self._requests.append(self._runs.request(outcome.ask, environment))

    def _tell(self, line: str, level: int = logging.INFO) -> None:
        """Say something for a person."""
        self._context.log.log(level, line)
        self._told.append(line)

    def _attempt(self, environment: str, python: str, look: Look) -> Outcome:
        if self._tick.left < _TO_LOOK:
            return Outcome("no time left in this tick, the next one begins here", look="late")
        try:
            watcher = self._watcher(environment)
            if python not in watcher.tools.project.environment(environment).pythons:
                told = "is not in the policy any more; reload the definitions"
                return Outcome(told, look="needless")
            return self._visit(target_here(environment, python), look, watcher)
        except EltEnvError as error:
            return _trouble(error)

    def _visit(self, target: Target, look: Look, watcher: Watcher) -> Outcome:
        busy = self._runs.under_way(target)
        if busy:
            told = f"{busy} is under way; looked at again when it has ended"
            return Outcome(told, look="needless")
        memory, came_of_it = self.cursor.of(target.name), ""
        if memory.asked is not None:
            policy = watcher.tools.project.environment(target.environment)
            failed = failed_checks(memory.asked.candidate, policy, watcher.tools.store)
            end = settled(memory.asked, self._runs.ends(memory.asked), failed)
            if end is None:
                return Outcome(f"asking again: {memory.asked.trigger}", memory, memory.asked)
            came_of_it = end
            memory = TargetState(memory.fingerprint, came_of_it or memory.outcome)
        outcome = look(target, memory, watcher)
        if came_of_it not in outcome.told:
            outcome = replace(outcome, told=f"{came_of_it}; {outcome.told}")
        if outcome.ask is None:
            return replace(outcome, memory=outcome.memory or memory)
        other = claims.claim_run(str(watcher.tools.store.local_home), target, self._name)
        return Outcome(f"{other} has just asked for a run", memory) if other else outcome


def _trouble(error: EltEnvError) -> Outcome:
    return Outcome(f"{error.problem} -> {error.remedy}", look="trouble")
