"""A release goes out in waves, and goes back where it does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from elt_env.defs.resources import EltProject
from elt_env.defs.rollouts import rollout_definitions
from elt_env.errors import ProofError
from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.follow import follow
from elt_env.follow.form import Check
from elt_env.follow.machine import Machine
from elt_env.follow.reports import read_reports
from elt_env.follow.rollout import advance, progress
from elt_env.lockfile.document import Lock
from elt_env.pipeline import Pipeline
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, pretend_built, toolbox_at
from tests.support.said import Said
from tests.support.sample import silent

_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _OLD.target
_FIRST, _LAST = "0" * 16, "f" * 16  # machines, in the first and in the last wave


@dataclass(frozen=True)
class Fleet:
    source: Tools
    root: Path

    def machine(self, name: str) -> Machine:
        own = toolbox_at(self.root / name)
        for lock in (_OLD, _NEW):
            pretend_built(lock, own)
        return Machine(_TARGET, self.source.store, own, name)

    def release(self, lock: Lock) -> None:
        prepare(lock, self.source)
        promote(_TARGET, self.source, silent, trigger="", by="")

    def advance(self) -> str:
        said = Said()
        pipeline = Pipeline(target=_TARGET, tools=self.source, say=said)
        return advance(pipeline, "a test").text

    @property
    def current(self) -> str:
        release = ReleaseStore(self.source.store).current(_TARGET.name)
        assert release is not None
        return release.digest


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """The old lock is released, to all at once, since it is the first one."""
    fleet = Fleet(toolbox_at(tmp_path / "project", rollout=[10, 50, 100]), tmp_path)
    fleet.release(_OLD)
    assert fleet.advance().endswith("all at once")
    return fleet


def runs(machine: Machine, check: Check = "none") -> str:
    """Follow, and return what is run then."""
    return follow(machine, silent, AsPrefix(check)).position.digest


def test_each_wave_waits_for_those_before(fleet: Fleet) -> None:
    first, last = fleet.machine(_FIRST), fleet.machine(_LAST)
    assert runs(first) == runs(last) == _OLD.digest
    fleet.release(_NEW)
    assert runs(last) == _OLD.digest
    assert "10 percent, 0 of 1 machines" in fleet.advance()
    [waiting] = read_reports(_TARGET.name, fleet.source.store.documents, [_LAST])
    assert (waiting.state, waiting.number, waiting.running) == ("waits", 2, 1)
    # A machine that is new runs the release before, not nothing.
    assert runs(fleet.machine("e" * 16)) == _OLD.digest
    assert runs(first) == _NEW.digest
    # The second wave has no machines, so the third one opens with it.
    assert "100 percent, 1 of 3 machines" in fleet.advance()
    assert runs(last) == _NEW.digest
    assert "2 of 3 machines" in fleet.advance()
    assert runs(fleet.machine("e" * 16)) == _NEW.digest
    done = progress(_TARGET.name, fleet.source.store)
    assert done.decision is not None
    assert done.decision.verdict == "open"
    fleet.advance()
    assert fleet.advance() == fleet.advance()
    assert fleet.current == _NEW.digest


def test_one_failure_leads_all_back(fleet: Fleet) -> None:
    first, last = fleet.machine(_FIRST), fleet.machine(_LAST)
    assert runs(first) == runs(last) == _OLD.digest
    fleet.release(_NEW)
    with pytest.raises(
        ProofError, match="does not hold on this machine"
    ):  # it is no real environment
        follow(first, silent)
    assert runs(last) == _OLD.digest
    assert fleet.advance().endswith("all at once")
    assert fleet.current == _OLD.digest
    history = ReleaseStore(fleet.source.store).history(_TARGET.name)
    assert "does not hold on 1 of 1 machines" in history[-1].trigger
    fleet.advance()
    assert len(ReleaseStore(fleet.source.store).history(_TARGET.name)) == len(history) == 3
    assert runs(first) == runs(last) == _OLD.digest


def test_dagster_asks_for_the_job_where_there_is_something_to_do(fleet: Fleet) -> None:
    project = fleet.source.project
    resource = EltProject(directory=str(project.root))
    definitions = dg.Definitions.merge(
        rollout_definitions(project.policy), dg.Definitions(resources={"project": resource})
    )
    [sensor] = definitions.sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)

    def tick() -> list[str | None]:
        """Return the partitions that are asked for."""
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(
                instance, definitions=definitions, resources={"project": resource}
            )
            return [each.partition_key for each in sensor.evaluate_tick(context).run_requests or ()]

    assert tick() == []
    first = fleet.machine(_FIRST)
    runs(first)
    fleet.release(_NEW)
    runs(first)
    assert tick() == [_TARGET.name]
    job = definitions.resolve_job_def("rollout")
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance, partition_key=_TARGET.name, resources={"project": resource}
        )
    assert done.success
    assert tick() == []
