"""Each step of a run on another machine than the one before; they share the bucket alone."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from pydantic import PrivateAttr

from elt_env.definitions import project_definitions
from elt_env.defs.resources import EltProject
from elt_env.project.settings import open_project
from elt_env.tools import Tools, open_tools
from tests.support.channel import Channel
from tests.support.daemon import wait_for
from tests.support.index_server import IndexServer
from tests.support.machine import Machine
from tests.support.s3_server import S3Server, new_prefix
from tests.support.terminal import make_terminal

pytestmark = pytest.mark.xdist_group("s3")


class Turns(EltProject):
    """The project as the next machine has it, each time that it is asked for.

    Attributes:
        checkouts: that of each machine; its caches are beside it.
    """

    checkouts: list[str]
    _turns: Iterator[str] = PrivateAttr()

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        del context
        self._turns = itertools.cycle(self.checkouts)

    def tools(self, environment: str) -> Tools:
        checkout = Path(next(self._turns))
        os.environ["ELT_ENV_CACHE_HOME"] = str(checkout.parent / "caches")
        return open_tools(open_project(checkout), environment)


@pytest.fixture
def machines(
    shared_python: Channel, index: IndexServer, s3: S3Server, tmp_path: Path
) -> list[Machine]:
    """Three machines of one team, with nothing on them and nothing in their store."""
    terminal = make_terminal(tmp_path / "team", shared_python, index)
    variables = {
        **s3.variables(),
        "ELT_ENV_HOME": f"s3://elt/{new_prefix()}",
        "ELT_ENV_IMAGE_BASE": "host",
    }
    made = []
    for name in ("one", "two", "three"):
        checkout = tmp_path / name / "checkout"
        shutil.copytree(terminal.site.directory, checkout)
        made.append(Machine(terminal, tmp_path / name / "caches", checkout, variables))
    return made


def test_each_step_of_a_build_may_be_another_machines(
    machines: list[Machine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = machines[0]
    for name, text in first.environment.items():
        monkeypatch.setenv(name, text)
    job = project_definitions(open_project(first.project)).resolve_job_def("elt_build")
    turns = Turns(checkouts=[str(each.project) for each in machines])
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        done = job.execute_in_process(
            instance=instance,
            resources={"project": turns},
            partition_key=first.terminal.python,
        )
        assert done.success
        told = [each.user_message for each in instance.all_logs(done.run_id)]
    for step in ("solve_conda", "resolve_pip", "prepare_base", "pack_layers"):
        assert f"{step} was done elsewhere, and is done here again" in told
    assert not [each for each in told if "create_prefix was done elsewhere" in each]
    assert len(first.history()) == 1
    for each in machines:
        shown = each.show()
        assert shown["release"]["current"] == shown["lock"]["digest"]
        assert shown["release"]["image"] == shown["image"]["digest"]
        each.ok("build", each.target)
        each.ok("verify", each.target)
        assert each.runs().startswith(str(each.home))
    assert len(first.history()) == 1


@pytest.fixture
def run(machines: list[Machine]) -> Iterator[subprocess.Popen[str]]:
    """A build with the multiprocess executor that has begun."""
    machine, site = machines[0], machines[0].terminal.site
    assert site.run_dagster("instance", "info").returncode == 0
    with subprocess.Popen(
        site.execute_command("elt_build", machine.terminal.python),
        cwd=machine.project,
        env=machine.environment | {"ELT_ENV_EXECUTOR": "multiprocess"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _started(instance: dg.DagsterInstance) -> dict[str, int]:
    """Return the process of the last attempt at each step of the only run."""
    begun = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED}
    found = {}
    for run in instance.get_runs():
        for each in instance.get_records_for_run(run.run_id, of_type=begun).records:
            event = each.event_log_entry.dagster_event
            if event and event.step_key and event.pid:
                found[event.step_key] = event.pid
    return found


@pytest.mark.slow
def test_each_step_whose_process_is_killed_is_begun_again(
    machines: list[Machine], run: subprocess.Popen[str]
) -> None:
    told = io.StringIO()
    reader = threading.Thread(target=lambda: told.write(run.stdout.read()))  # type: ignore[union-attr]
    reader.start()
    killed: set[str] = set()
    with dg.DagsterInstance.from_config(str(machines[0].terminal.site.dagster_home)) as instance:
        while run.poll() is None:
            for step, process in _started(instance).items():
                if step not in killed:
                    killed.add(step)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
            time.sleep(0.02)
        reader.join(60)
        (record,) = instance.get_runs()
        retried = {
            each.step_key
            for each in instance.get_run_step_stats(record.run_id)
            if (each.attempts or 0) > 1
        }
    assert run.returncode == 0, told.getvalue()[-4000:]
    assert {"lockfile.solve_conda", "environment.create_prefix", "release.move_release"} <= {
        each.partition("elt__")[2] or each for each in retried
    }, retried
    shown = machines[0].show()
    assert shown["release"]["current"] == shown["lock"]["digest"]
    assert len(machines[0].history()) == 1
    machines[0].ok("verify", machines[0].target)


@pytest.mark.slow
def test_a_cancelled_run_begins_no_step_again(
    machines: list[Machine], run: subprocess.Popen[str]
) -> None:
    with dg.DagsterInstance.from_config(str(machines[0].terminal.site.dagster_home)) as instance:
        wait_for(lambda: _started(instance), "the begin of a step")
        run.send_signal(signal.SIGINT)
        told, _ = run.communicate(timeout=120)
        (record,) = instance.get_runs()
        stats = instance.get_run_step_stats(record.run_id)
        # One that has begun may end well before the next begins; none is begun twice.
        assert {each.attempts for each in stats} == {1}, told[-4000:]
        assert record.is_finished
        assert not record.is_success
