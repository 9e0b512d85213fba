"""deploy/dagster.yaml with a real PostgreSQL and a bucket: webserver, daemon, runs, and faults."""

from __future__ import annotations

import contextlib
import time
import urllib.error
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
import obstore
import pytest
import yaml

from tests.support.channel import Channel
from tests.support.commands import REPOSITORY
from tests.support.daemon import wait_for
from tests.support.index_server import IndexServer
from tests.support.loopback import Reply
from tests.support.registry_proxy import FaultProxy
from tests.support.s3_server import SECRET, S3Server
from tests.support.servers import PASSWORD, Server, free_port, postgres
from tests.support.team import Team, log_tail, shared
from tests.support.terminal import make_terminal
from tests.support.web_ui import ask

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

_BUSY = Reply(503, b"<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>")
_AWAY, _MOMENT = 60.0, 3.0  # seconds
_MANY = 100_000  # requests
_LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {selector: $selector, executionMetadata: {tags: $tags}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_SHOWN = "{ runsOrError { ... on Runs { results { runId status } } } instance { info } }"


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.host) as made:
        yield made


@pytest.fixture
def database() -> Iterator[tuple[str, Server]]:
    with postgres() as made:
        yield made


@pytest.fixture
def office(  # noqa: PLR0917  # fixtures
    shared_python: Channel,
    index: IndexServer,
    s3: S3Server,
    database: tuple[str, Server],
    proxy: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Team]:
    """A team whose runs are processes of one machine, with the bucket behind a proxy."""
    terminal = make_terminal(tmp_path / "team", shared_python, index)
    with contextlib.closing(Team(terminal, shared(s3, database[0], "", "in-process"))) as made:
        made.variables |= s3.variables(proxy.host)
        for name, text in made.variables.items():
            monkeypatch.setenv(name, text)
        yield made


@contextlib.contextmanager
def _serving(office: Team) -> Iterator[str]:
    """Run the daemon and the webserver; yield the URL of the latter once both answer."""
    machine, port = office.machine("office"), free_port()
    location = ("-m", "elt_env.definitions")
    office.start(machine, "daemon", "dagster._daemon", "run", *location)
    office.start(
        *(machine, "webserver"),
        *("dagster_webserver", "-h", "127.0.0.1", "-p", str(port), *location),
    )
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: _asked(url), "the webserver")
    yield url


def _asked(url: str) -> dict[str, Any] | None:
    with contextlib.suppress(OSError):
        return ask(url, _SHOWN)
    return None


def _launch(url: str, python: str) -> str | None:
    """Launch a build; return its run, or None where the webserver has lost its database."""
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "elt_env.definitions",
        "jobName": "elt_build",
    }
    tags = [{"key": "dagster/partition", "value": python}]
    try:
        answer = ask(url, _LAUNCH, selector=selector, tags=tags)["launchRun"]
    except urllib.error.HTTPError:
        return None
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def _end(instance: dg.DagsterInstance, run: str) -> str | None:
    found = instance.get_run_by_id(run)
    return found.status.value if found and found.is_finished else None


def test_runs_go_through_postgresql_and_survive_what_happens_to_it_and_to_the_bucket(
    office: Team, database: tuple[str, Server], s3: S3Server, proxy: FaultProxy
) -> None:
    machine = office.machine("office")
    with _serving(office) as url:
        python = office.terminal.python
        run = wait_for(lambda: _launch(url, python), "a run")
        with office.instance() as instance:
            wait_for(lambda: instance.get_run_step_stats(run), "the begin of a step")
            # The bucket is away for a minute, and PostgreSQL for a moment: the run goes on.
            back = time.monotonic() + _AWAY
            proxy.only = lambda _: time.monotonic() < back
            proxy.faults.extend([_BUSY] * _MANY)
            wait_for(lambda: len(proxy.faults) < _MANY, "a step that waits for the bucket")
            database[1].stop()
            time.sleep(_MOMENT)
            database[1].start()
            assert wait_for(lambda: _end(instance, run), "the end of the run") == "SUCCESS", (
                log_tail([machine])
            )
            proxy.faults.clear()
            assert time.monotonic() > back
        shown = machine.show()
        assert shown["release"]["current"] == shown["lock"]["digest"]
        # PostgreSQL is started anew: what it knew is there, and the next run goes through it.
        database[1].stop()
        database[1].start()
        seen = wait_for(lambda: _asked(url), "the webserver after the database")
        assert {"runId": run, "status": "SUCCESS"} in seen["runsOrError"]["results"]
        again = wait_for(lambda: _launch(url, python), "a run after the database")
        with office.instance() as instance:
            assert wait_for(lambda: _end(instance, again), "the next end") == "SUCCESS"
        assert len(machine.history()) == 1
        # What steps printed lies in the bucket, and no secret stands there or in the web UI.
        logs = [each["path"] for page in obstore.list(s3.bucket("dagster")) for each in page]
        assert [each for each in logs if run in each]
        assert PASSWORD not in str(seen)
        assert SECRET not in str(seen)
    assert PASSWORD not in log_tail([machine])


def test_the_instance_has_all_that_the_one_of_make_has() -> None:
    shipped = yaml.safe_load(files("elt_env.defs").joinpath("dagster.yaml").read_text())
    deployed = yaml.safe_load((REPOSITORY / "deploy" / "dagster.yaml").read_text())
    assert deployed | shipped == deployed
