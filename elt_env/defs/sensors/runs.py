"""The runs that sensors ask for: which are under way, how they ended, and asking for one."""

from __future__ import annotations

import threading
import time

import dagster as dg

from elt_env.defs.names import group_name
from elt_env.defs.run_tags import ENVIRONMENT, LOCK, PYTHONS, TRIGGER, UPGRADE
from elt_env.package.target import Target
from elt_env.watch.state import TRIES, Ask, RunEnd, shortened

_PARTITION = "dagster/partition"
_RUN_KEY = "dagster/run_key"
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
_BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_INTERRUPTED = "DagsterExecutionInterruptedError"
_LAST = 100  # runs among which one of the target is looked for
_QUIET = 2 * 3600.0  # seconds
_CLAIM = 60.0  # seconds in which Dagster has made a run of a request, or has ended a tick


class Runs:
    """The runs of a Dagster instance, as far as they make locks."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance

    def under_way(self, target: Target) -> str:
        """Return which run may change the target's lock at the moment, for a person, or ""."""
        filters = dg.RunsFilter(tags={_PARTITION: target.python}, statuses=[*_WAITING, *_BEGUN])
        for each in self._instance.get_run_records(filters):
            run = each.dagster_run
            if _locks(run, target) and not self._is_dead(run):
                return f"run {run.run_id[:8]} ({_job(run)})"
        return ""

    def at_work(self, target: Target) -> bool:
        """Tell whether a run does something with the target at the moment."""
        filters = dg.RunsFilter(tags=_partitions(target), statuses=_BEGUN)
        runs = [each.dagster_run for each in self._instance.get_run_records(filters)]
        return any(_is_about(run, target) and not self._is_dead(run) for run in runs)

    def last_failure(self, target: Target) -> str:
        """Return how the last run about the target failed, for a person; "" if it did not."""
        filters = dg.RunsFilter(
            tags=_partitions(target),
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
        )
        runs = (each.dagster_run for each in self._instance.get_run_records(filters, limit=_LAST))
        last = next((run for run in runs if _is_about(run, target)), None)
        if last is None or last.is_success:
            return ""
        return f"run {last.run_id[:8]} ({_job(last)}): {self._end(last).problem}"

    def ends(self, ask: Ask) -> list[RunEnd]:
        """Return how the runs that were asked for so ended, in the order in which they began."""
        keys = [_key(ask, number) for number in range(TRIES)]
        filters = dg.RunsFilter(tags={_RUN_KEY: keys})
        found = self._instance.get_run_records(filters, ascending=True)
        return [self._end(each.dagster_run) for each in found]

    def request(self, ask: Ask, environment: str) -> dg.RunRequest:
        """Return the request for the next try of what is asked for."""
        tags = {TRIGGER: ask.trigger}
        if ask.candidate:
            tags[LOCK] = ask.candidate
        if ask.upgrade:
            tags[UPGRADE] = ",".join(ask.upgrade)
        key = _key(ask, len(self.ends(ask)))
        if ask.job == "python_readiness":
            tags |= {PYTHONS: ask.python, ENVIRONMENT: environment}
            asset = dg.AssetKey([environment, ask.job])
            return dg.RunRequest(key, job_name=ask.job, asset_selection=[asset], tags=tags)
        job = f"{group_name(environment)}_{ask.job}"
        return dg.RunRequest(key, job_name=job, partition_key=ask.python, tags=tags)

    def _is_dead(self, run: dg.DagsterRun) -> bool:
        """Tell whether a run began and was not heard of for a long time.

        What a step does tells something every 15 s, or has a limit of half an hour by default.
        """
        if run.status not in _BEGUN:
            return False
        records = self._instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
        last = max((each.timestamp for each in records), default=0.0)
        return time.time() - last > _QUIET

    def _end(self, run: dg.DagsterRun) -> RunEnd:
        name = run.run_id[:8]
        if run.status is dg.DagsterRunStatus.SUCCESS:
            return RunEnd(name, "succeeded")
        if run.status is dg.DagsterRunStatus.CANCELED:
            return RunEnd(name, "cancelled")
        problems = self._problems(run)
        final = [problem for problem, may_go_away in problems if not may_go_away]
        problem = next(iter(final or [each for each, _ in problems]), "")
        return RunEnd(name, "failed" if final else "lost", problem)

    def _problems(self, run: dg.DagsterRun) -> list[tuple[str, bool]]:
        """Return what each failed step of a run says, and whether that may go away by itself."""
        kind = dg.DagsterEventType.STEP_FAILURE
        found = []
        for record in self._instance.get_records_for_run(run.run_id, of_type=kind).records:
            event = record.event_log_entry.dagster_event
            if event is None:
                continue
            failure = event.step_failure_data
            told = failure.user_failure_data.metadata if failure.user_failure_data else {}
            interrupted = failure.error is not None and failure.error.cls_name == _INTERRUPTED
            may_go_away = "may_go_away" in told and told["may_go_away"].value is True
            problem = str(told["problem"].value) if "problem" in told else str(event.message)
            found.append((shortened(problem), interrupted or may_go_away))
        return found


def _key(ask: Ask, tries: int) -> str:
    """Return the run key of the next try; Dagster makes one run of a key, and no other."""
    return f"{ask.key} try {tries + 1}" if tries else ask.key


def _job(run: dg.DagsterRun) -> str:
    return "by hand" if run.job_name.startswith("__") else run.job_name


def _locks(run: dg.DagsterRun, target: Target) -> bool:
    name = group_name(target.environment)
    lockfile = dg.AssetKey([target.environment, "lockfile"])
    selected = run.asset_selection or ()
    return run.job_name in (f"{name}_build", f"{name}_relock") or lockfile in selected


def _partitions(target: Target) -> dict[str, str | list[str]]:
    """Return the tags of runs about a target: its Python for an environment's job, or its name."""
    return {_PARTITION: [target.python, target.name]}


def _is_about(run: dg.DagsterRun, target: Target) -> bool:
    """Tell whether a run with one of the target's partitions is about its environment."""
    if run.tags.get(_PARTITION) == target.name:
        return True
    selected = run.asset_selection or ()
    return run.tags.get(ENVIRONMENT) == target.environment or any(
        key.path[0] == target.environment for key in selected
    )


class Claims:
    """Who has just begun what Dagster does not know yet: to ask for a run, to tell of trouble.

    All sensors and schedules of a project are evaluated in one process, some at the same time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, ...], tuple[str, float]] = {}

    def claim(self, key: tuple[str, ...], holder: str) -> str:
        """Return "" when the key is the holder's now, else who has it."""
        with self._lock:
            other, since = self._held.get(key, ("", 0.0))
            if other not in ("", holder) and time.monotonic() - since < _CLAIM:
                return other
            self._held[key] = holder, time.monotonic()
            return ""

    def claim_run(self, store: str, target: Target, holder: str) -> str:
        """Claim to ask for a run of a target in a store."""
        return self.claim((store, target.name), holder)


claims = Claims()
"""Those of this process."""
