"""A project that is watched: its sensors are evaluated in this process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest

from elt_env.defs.assets import environment_assets
from elt_env.defs.checks import environment_checks, image_checks
from elt_env.defs.jobs import environment_jobs
from elt_env.defs.project import watch_definitions
from elt_env.defs.readiness import readiness_asset, readiness_job
from elt_env.defs.resources import EltProject
from elt_env.lock.make import lock
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from tests.support.locking import Scene, target_of
from tests.support.locks import MOMENT
from tests.support.project import ENVIRONMENT, toolbox_of

PYPI, PYTHONS, SPEC = "pypi_release_sensor", "python_version_sensor", "spec_sensor"


@dataclass(frozen=True)
class Seen:
    """What a tick came to.

    Attributes:
        requests: the runs it asks for.
        skipped: why it asks for none.
        cursor: what it remembers.
    """

    requests: tuple[dg.RunRequest, ...]
    skipped: str
    cursor: dict[str, Any]

    @property
    def request(self) -> dg.RunRequest:
        """The only run it asks for."""
        assert len(self.requests) == 1, self.skipped
        return self.requests[0]


@dataclass
class Watched:
    """A project with a lock of `elt@3.11`, and what its sensors remember.

    Attributes:
        scene: what can be locked.
        instance: a Dagster instance.
        options: what the project was made with.
        cursors: what each sensor remembers, as text.
    """

    scene: Scene
    instance: dg.DagsterInstance
    project: Project
    options: dict[str, Any]
    cursors: dict[str, str | None] = field(default_factory=dict)

    @property
    def definitions(self) -> dg.Definitions:
        """The definitions as they would be loaded now."""
        policy = self.project.policy
        environments = dg.Definitions.merge(
            *(_environment(*each) for each in policy.environments.items()),
            readiness_job(policy.environments),
        )
        return dg.Definitions.merge(
            environments,
            watch_definitions(policy, environments.jobs or ()),
            dg.Definitions(resources={"project": self.resource}),
        )

    @property
    def resource(self) -> EltProject:
        """The project as Dagster knows it."""
        return EltProject(directory=str(self.project.root))

    @property
    def lock(self) -> Lock:
        """The current lock."""
        toolbox = toolbox_of(self.project)
        current = toolbox.store.current_lock(target_of(toolbox))
        assert current is not None
        return current

    def tick(self, sensor: str = PYPI, definitions: dg.Definitions | None = None) -> Seen:
        """Evaluate a sensor as the daemon does, and keep its cursor.

        Args:
            sensor: its name.
            definitions: those that were loaded before; else as they would be loaded now.
        """
        definitions = definitions or self.definitions
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            definitions=definitions,
            sensor_name=sensor,
            resources={"project": self.resource},
        ) as context:
            found = definitions.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = found.cursor
        return Seen(
            tuple(found.run_requests or ()),
            found.skip_message or "",
            json.loads(found.cursor or "{}"),
        )

    def failing_tick(self, sensor: str = PYPI) -> str:
        """Evaluate a sensor that can look at nothing; return what its tick fails with."""
        with pytest.raises(dg.Failure) as failure:
            self.tick(sensor)
        return str(failure.value.description)

    def edit(self, **options: Any) -> None:
        """Change the spec or the policy."""
        self.options |= options
        self.project = self.scene.toolbox(**self.options).project

    def schedule(self) -> Seen:
        """Evaluate the schedule of `elt` as the daemon does."""
        definitions = self.definitions
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=MOMENT,
            repository_def=definitions.get_repository_def(),
            resources={"project": self.resource},
        ) as context:
            schedule = definitions.resolve_schedule_def("elt_relock_schedule")
            found = schedule.evaluate_tick(context)
        return Seen(tuple(found.run_requests or ()), found.skip_message or "", {})

    def run(self, request: dg.RunRequest, **changes: str | None) -> dg.ExecuteInProcessResult:
        """Make the lock as the run would that was asked for; nothing is built.

        Args:
            request: the run.
            changes: tags by the end of their name, as in `lock`; None for none.
        """
        job = self.definitions.resolve_job_def(str(request.job_name))
        tags = {**request.tags, **{f"elt-env/{name}": tag for name, tag in changes.items()}}
        if request.run_key:
            tags["dagster/run_key"] = request.run_key
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags={name: tag for name, tag in tags.items() if tag is not None},
            asset_selection=[dg.AssetKey(["elt", "lockfile"])],
            raise_on_error=False,
        )


def _environment(name: str, policy: EnvironmentPolicy) -> dg.Definitions:
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[*environment_assets(name, policy), readiness_asset(name)],
            asset_checks=[*environment_checks(name, policy), *image_checks(name, policy)],
        ),
        environment_jobs(name, policy),
    )


@contextlib.contextmanager
def watched(scene: Scene, *, locked: bool = True, **options: Any) -> Iterator[Watched]:
    """Yield a project that is watched, and locked first; the options are `Scene.toolbox`'s."""
    toolbox = scene.toolbox(**options)
    for python in toolbox.environment.pythons if locked else ():
        lock(target_here(ENVIRONMENT, python), toolbox, scene.said)
    place = scene.root / "instance"
    place.mkdir()
    with dg.DagsterInstance.local_temp(str(place)) as instance:
        yield Watched(scene, instance, toolbox.project, options)


def versions(lock: Lock) -> dict[str, str]:
    """Return the version of each of pip's packages by name."""
    return {each.name: each.version for each in lock.pip}


def order(job: str) -> dg.RunRequest:
    """Return the request of a person for a run of a job of `elt@3.11`."""
    return dg.RunRequest(job_name=job, partition_key="3.11")
