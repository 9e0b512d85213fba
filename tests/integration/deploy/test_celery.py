"""A build by Celery workers that are killed: redis, PostgreSQL and a bucket are all they share."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.support.channel import Channel
from tests.support.index_server import IndexServer
from tests.support.s3_server import S3Server
from tests.support.servers import postgres, redis_server
from tests.support.team import Team, end, log_tail, shared
from tests.support.terminal import make_terminal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

_NAMES = ("one", "two", "three")
_SECONDS = 1500.0
_STEPS = 12


@pytest.fixture
def celery(
    shared_python: Channel,
    index: IndexServer,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Team]:
    terminal = make_terminal(tmp_path / "team", shared_python, index)
    with (
        postgres() as (database, _),
        redis_server(tmp_path / "redis") as broker,
        contextlib.closing(Team(terminal, shared(s3, database, broker, "celery"))) as made,
    ):
        for name, text in made.variables.items():
            monkeypatch.setenv(name, text)
        yield made


def _begun(instance: dg.DagsterInstance) -> dict[str, str]:
    """Return which worker each step of the only run was last given to."""
    found = {}
    for run in instance.get_runs():
        for each in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = each.dagster_event
            worker = event and event.engine_event_data.metadata.get("Celery worker")
            if event and event.step_key and worker:
                found[event.step_key] = str(worker.value).partition("@")[0]
    return found


def test_a_worker_is_killed_in_each_step_and_the_run_ends_well(celery: Team) -> None:
    office = celery.machine("office")
    with celery.instance() as instance:
        running = {name: celery.worker(name) for name in _NAMES}
        arguments = celery.terminal.site.execute_command("elt_build", celery.terminal.python)
        run = celery.start(office, "run", *arguments[2:])
        killed: list[str] = []
        deadline = time.monotonic() + _SECONDS
        while run.poll() is None and time.monotonic() < deadline:
            for step, worker in _begun(instance).items():
                if step not in killed and worker in running:
                    killed.append(step)
                    end(running.pop(worker))
                    # Another process of that machine; it finds there what was left of the step.
                    machine, _, number = worker.partition("-")
                    again = f"{machine}-{int(number or 0) + 1}"
                    running[again] = celery.worker(again)
            time.sleep(0.1)
        machines = [celery.machine(each) for each in _NAMES]
        assert run.poll() == 0, log_tail([office, *machines])
        (record,) = instance.get_runs()
        assert record.is_success
        assert len(killed) == _STEPS, killed
    _require_right(celery)


def _require_right(celery: Team) -> None:
    """Return when the store says on every machine that the build is whole, and released once."""
    machines = [celery.machine(each) for each in _NAMES]
    for each in machines:
        shown = each.show()
        assert shown["release"]["current"] == shown["lock"]["digest"]
        assert shown["release"]["image"] == shown["image"]["digest"]
        assert not [check for check in shown["evidence"] if check["status"] == "failed"]
        each.ok("build", each.target)
        each.ok("verify", each.target)
        assert each.runs().startswith(str(each.home))
        assert len(each.history()) == 1
