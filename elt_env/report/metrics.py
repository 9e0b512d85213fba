"""Metrics: numbers about targets for Prometheus, read from the store at every look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.errors import EltEnvError, StorageError
from elt_env.follow.reports import Report, read_reports
from elt_env.machine.platform import target_here
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.report.show import show
from elt_env.report.standing_of import standing_of
from elt_env.report.summary import Summary
from elt_env.runtime.files import write_atomically
from elt_env.store.locks import Store
from elt_env.tools import open_tools

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

_HELP = {
    "readable": "1 where the records of the target can be read, else 0.",
    "release": "Number of the release; it grows by one with each move.",
    "release_timestamp_seconds": "When the release became that, in seconds since 1970.",
    "lock_timestamp_seconds": "When the current lock was made, in seconds since 1970.",
    "lock_released": "1 where the current lock is the release, else 0.",
    "held_back_packages": "Packages asked for that are older than their newest version.",
    "cooling_down_packages": "Packages of which a newer version waits for its cool-down.",
    "failed_checks": "Checks whose newest result on the current lock is a failure.",
    "followers": "Machines that follow, by what they reported last.",
    "followers_behind": "Machines that follow and do not run the release.",
}
_STATES = ("runs", "waits", "failed", "trouble")


@dataclass(frozen=True)
class Sample:
    """A value of a metric, whose name begins with `elt_env_`."""

    metric: str
    value: float
    labels: tuple[tuple[str, str], ...]


def project_samples(project: Project) -> Iterator[Sample]:
    """Yield the values of all targets of a project.

    Raises:
        StorageError: the store does not answer, or refuses.
    """
    for name, environment in project.environments.items():
        store = open_tools(project, name).store
        for python in environment.pythons:
            yield from _target_samples(target_here(name, python), project, store)


def _target_samples(target: Target, project: Project, store: Store) -> Iterator[Sample]:
    label = ("target", target.name)
    try:
        summary, cooling_down = show(target, store), len(standing_of(target, project, store).newer)
    except StorageError:
        raise
    except EltEnvError:
        yield Sample("readable", 0, (label,))
        return
    yield Sample("readable", 1, (label,))
    reports = read_reports(target.name, store.documents)
    yield from samples(summary, cooling_down, reports)


def samples(summary: Summary, cooling_down: int, reports: Sequence[Report]) -> Iterator[Sample]:
    """Yield the values of one target whose records can be read."""
    label = (("target", summary.target.name),)
    lock, release = summary.lock, summary.release
    if release:
        yield Sample("release", release.number, label)
        yield Sample("release_timestamp_seconds", release.at.timestamp(), label)
    if lock:
        released = release is not None and release.digest == lock.digest
        yield Sample("lock_timestamp_seconds", lock.locked_at.timestamp(), label)
        yield Sample("lock_released", released, label)
        yield Sample("held_back_packages", len(lock.held_back), label)
        yield Sample("cooling_down_packages", cooling_down, label)
        yield Sample("failed_checks", sum(each.failed for each in summary.evidence), label)
    for state in _STATES:
        count = sum(each.state == state for each in reports)
        yield Sample("followers", count, (*label, ("state", state)))
    number = release.number if release else 0
    yield Sample("followers_behind", sum(each.running != number for each in reports), label)


@dataclass(frozen=True, eq=False)
class Collector:
    """What prometheus-client asks at every look; each finds the store as it is then."""

    project: Project

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, each with its values."""
        from prometheus_client.core import GaugeMetricFamily

        found = [*project_samples(self.project)]
        for name, text in _HELP.items():
            values = [each for each in found if each.metric == name]
            keys = [key for key, _ in values[0].labels] if values else ["target"]
            metric = GaugeMetricFamily(f"elt_env_{name}", text, labels=keys)
            for each in values:
                metric.add_metric([value for _, value in each.labels], each.value)
            yield metric


def registry_of(project: Project) -> CollectorRegistry:
    """Return what prometheus-client serves of a project."""
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(Collector(project))
    return registry


def metrics_text(project: Project) -> str:
    """Return the metrics of a project in Prometheus' text format.

    Raises: as `project_samples`.
    """
    from prometheus_client import generate_latest

    return generate_latest(registry_of(project)).decode()


def write_metrics(project: Project, path: Path) -> None:
    """Write the metrics into a file, all at once, as the node exporter's textfile collector wants.

    Raises: as `project_samples`; StorageError too where the file cannot be written.
    """
    write_atomically(path, metrics_text(project), 0o644)
