"""Report to Dagster what was made outside of it, as by `elt-env` in a terminal."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter  # no public call knows of partitions
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from elt_env.defs.automation import at_first, local_seconds
from elt_env.defs.checks import evaluation, result_of
from elt_env.defs.metadata import (
    DATA_VERSION,
    Metadata,
    image_record_metadata,
    lock_metadata,
    materialization,
    prefix_metadata,
    spec_metadata,
)
from elt_env.defs.release_metadata import release_metadata, release_version
from elt_env.defs.resources import EltProject, reporting
from elt_env.defs.run_tags import IDENTITY
from elt_env.defs.sensors.runs import Runs
from elt_env.defs.sensors.walk import Tracked, tracked_by
from elt_env.environment.build import BuildResult
from elt_env.errors import InputError
from elt_env.lock.explain_diff import read_report, with_startup
from elt_env.lock.make import Locked
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.project.project import Project
from elt_env.release.move import MoveResult
from elt_env.report.show import previous_lock, show
from elt_env.report.summary import Summary
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from elt_env.tools import Tools

JOB = "store_report"
_PAUSE = 600.0  # seconds
_OUTSIDE = "made outside of Dagster"

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


def store_report_definitions(policy: Policy) -> dg.Definitions:
    """Return the job `store_report`, and the sensor that runs it where there is something to tell.

    A run tells it, since Dagster keeps only one result of a check that is not a run's.
    """
    tracked = tracked_by(policy)

    @dg.op
    def report_store(context: dg.OpExecutionContext, project: EltProject) -> Iterator[Any]:
        """Tell what the store has, and Dagster does not know."""
        with reporting(context):
            for name, event in _all_unreported(tracked, project, context.instance):
                context.log.info("%s: %s", name, _named(event))
                yield event
        yield dg.Output(None)

    @dg.job(
        tags=IDENTITY,
        description="Show in Dagster what `elt-env` locked, built, checked, packed, released or "
        "rolled back at the command line.",
    )
    def store_report() -> None:
        report_store()

    return dg.Definitions(jobs=[store_report], sensors=[_sensor(policy, store_report, tracked)])


def _sensor(policy: Policy, job: dg.JobDefinition, tracked: Tracked) -> dg.SensorDefinition:
    @dg.sensor(
        name="store_sensor",
        job=job,
        minimum_interval_seconds=local_seconds(policy),
        default_status=at_first(policy),
        description="Runs `store_report` where the store has what Dagster does not know; what a "
        "run is working on is left to that run.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, project: EltProject
    ) -> dg.RunRequest | dg.SkipReason:
        waits = _waits(context.instance)
        if waits:
            return dg.SkipReason(waits)
        unreported = _all_unreported(tracked, project, context.instance)
        found = [f"{name}: {_named(event)}" for name, event in unreported]
        for each in found:
            context.log.info(each)
        return dg.RunRequest() if found else dg.SkipReason("Dagster knows all that is in the store")

    return sensor


def _waits(instance: dg.DagsterInstance) -> str:
    """Return why no run is asked for yet: the last one is under way, or has just failed; or ""."""
    last = next(iter(instance.get_run_records(dg.RunsFilter(job_name=JOB), limit=1)), None)
    if last is None or last.dagster_run.is_success:
        return ""
    name = last.dagster_run.run_id[:8]
    if not last.dagster_run.is_finished:
        return f"run {name} is under way"
    age = time.time() - last.update_timestamp.timestamp()
    return f"run {name} has failed; tried again after 10 minutes" if age < _PAUSE else ""


def targets(tracked: Tracked, project: EltProject) -> Iterator[tuple[Target, Tools]]:
    """Yield each target of the definitions that the policy still has, and its tools.

    Raises:
        PolicyError: the policy cannot be used.
    """
    for environment, pythons in tracked.items():
        tools = project.tools(environment)
        for python in pythons:
            if python in tools.environment.pythons:
                yield target_here(environment, python), tools


def _all_unreported(
    tracked: Tracked, project: EltProject, instance: dg.DagsterInstance
) -> Iterator[tuple[str, Event]]:
    """Yield what Dagster does not know, and of which environment or target it is.

    Raises:
        EltEnvError: the policy cannot be used, or the records of a target cannot be read.
    """
    every = targets(tracked, project)
    for environment, each in itertools.groupby(every, lambda one: one[0].environment):
        mine = list(each)
        _, first = mine[0]
        for event in _unreported_spec(environment, first.project, instance):
            yield environment, event
        for target, tools in mine:
            for found in _unreported(target, tools.project, tools.store, instance):
                yield target.name, found


def _unreported_spec(
    environment: str, project: Project, instance: dg.DagsterInstance
) -> Iterator[dg.AssetMaterialization]:
    """Yield the spec where it asks for something else than Dagster heard of last.

    What is wrong with one that cannot be used is told by the sensor that watches specs.
    """
    with contextlib.suppress(InputError):
        spec = project.spec(environment)
        key = [environment, "spec"]
        if spec.digest != _known_version(key, None, instance):
            yield materialization(key, spec_metadata(spec, project), spec.digest)


def _unreported(
    target: Target, project: Project, store: Store, instance: dg.DagsterInstance
) -> Iterator[Event]:
    """Yield what the store has of a target that Dagster does not know.

    Raises:
        EltEnvError: the target's records cannot be read.
    """
    if not Runs(instance).at_work(target):
        summary = show(target, store)
        yield from _materializations(summary, project, store, instance)
        yield from _results(summary, store, instance)


@dataclass(frozen=True)
class _Made:
    """An asset of a target that is in the store."""

    asset: str
    version: str
    metadata: Callable[[], Metadata]


def _materializations(
    summary: Summary, project: Project, store: Store, instance: dg.DagsterInstance
) -> Iterator[dg.AssetMaterialization]:
    """Yield what is in the store in another data version than Dagster heard of last."""
    target = summary.target
    for each in _made(summary, project, store):
        key = [target.environment, each.asset]
        if each.version != _known_version(key, target.python, instance):
            yield materialization(key, each.metadata(), each.version, target.python)


def _made(summary: Summary, project: Project, store: Store) -> Iterator[_Made]:
    target, lock, image, release = summary.target, summary.lock, summary.image, summary.release
    if lock is not None:
        yield _Made("lockfile", lock.digest, lambda: lock_metadata(_locked(lock, target, store)))
    if lock is not None and summary.ready:
        built = BuildResult(Path(str(summary.prefix)), (_OUTSIDE,))
        yield _Made("environment", lock.digest, lambda: prefix_metadata(lock, built))
    if image is not None:
        layout = Path(str(summary.layout))
        yield _Made("image", image.digest, lambda: image_record_metadata(image, layout, _OUTSIDE))
    if release is not None:
        moved = MoveResult(release, summary.previous)
        yield _Made(
            "release",
            release_version(release),
            lambda: release_metadata(moved, target, project, store),
        )


def _known_version(key: list[str], python: str | None, instance: dg.DagsterInstance) -> str | None:
    latest = _latest(dg.AssetKey(key), python, instance)
    event = latest.asset_materialization if latest else None
    return (event.tags or {}).get(DATA_VERSION) if event else None


def _latest(
    key: dg.AssetKey, python: str | None, instance: dg.DagsterInstance
) -> dg.EventLogRecord | None:
    """Return the record of the last materialization."""
    partitions = [python] if python else None
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions)
    return next(iter(instance.fetch_materializations(wanted, limit=1).records), None)


def _locked(lock: Lock, target: Target, store: Store) -> Locked:
    before = previous_lock(target, store)
    report = read_report(store, before.digest if before else None, lock.digest)
    report = with_startup(report, before, lock, store) if report else None
    path = store.lock_directory(lock.digest)
    return Locked(lock, path, kept=False, reasons=(_OUTSIDE,), report=report)


def _results(
    summary: Summary, store: Store, instance: dg.DagsterInstance
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the evidence of the current lock that is not what Dagster heard last of its check."""
    lock = summary.lock
    if lock is None:
        return
    keys = {each.check: _check_key(each, summary.target) for each in summary.evidence}
    known = _known_moments(list(keys.values()), summary.target.python, instance)
    for each in summary.evidence:
        key = keys[each.check]
        if known.get(key) != each.at.timestamp():
            yield evaluation(result_of(each, lock, store), key.asset_key, summary.target.python)


def _check_key(evidence: Evidence, target: Target) -> dg.AssetCheckKey:
    asset = "image" if evidence.image else "environment"
    return dg.AssetCheckKey(dg.AssetKey([target.environment, asset]), evidence.check)


def _known_moments(
    keys: list[dg.AssetCheckKey], python: str, instance: dg.DagsterInstance
) -> dict[dg.AssetCheckKey, object]:
    """Return when the checks ended that Dagster heard of last, in seconds since the epoch.

    One that it heard of before its asset was made the last time is left out: Dagster shows it as
    not executed, although what was made is the same.
    """
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        keys, PartitionKeyFilter(key=python)
    )
    made = {key: _latest(key, python, instance) for key in {each.asset_key for each in latest}}
    return {
        key: each.evaluation.metadata["checked_at"].value
        for key, each in latest.items()
        if each.evaluation and "checked_at" in each.evaluation.metadata
        if not _is_older(each, made[key.asset_key])
    }


def _is_older(check: AssetCheckExecutionRecord, made: dg.EventLogRecord | None) -> bool:
    if made is None or made.event_log_entry.run_id == check.run_id:
        return False
    return check.create_timestamp <= made.timestamp


def _named(event: Event) -> str:
    """Return what an event is about, for a person."""
    if isinstance(event, dg.AssetCheckEvaluation):
        return f"{event.check_name} {'passed' if event.passed else 'did not pass'}"
    return event.asset_key.path[-1]
