"""From a spec to what a follower runs, while those who do the work are killed.

The same flow on files of one machine, and on PostgreSQL, redis, Celery and a bucket.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from tests.support.channel import Channel
from tests.support.commands import REPOSITORY
from tests.support.follower import Follower
from tests.support.index_server import IndexServer
from tests.support.s3_server import S3Server
from tests.support.servers import postgres, redis_server
from tests.support.team import Team, end, log_tail, shared
from tests.support.terminal import make_terminal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]

_SECONDS = 900.0
_LONG = {"solve_conda", "create_prefix", "pack_layers"}  # steps that take a while


@pytest.fixture(params=["files", "celery"])
def team(
    request: pytest.FixtureRequest,
    shared_python: Channel,
    index: IndexServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Team]:
    terminal = make_terminal(tmp_path / "team", shared_python, index)
    with contextlib.ExitStack() as opened:
        if request.param == "celery":
            s3: S3Server = request.getfixturevalue("s3")
            database, _ = opened.enter_context(postgres())
            broker = opened.enter_context(redis_server(tmp_path / "redis"))
            made = Team(terminal, shared(s3, database, broker, "celery"))
        else:
            store = {"ELT_ENV_HOME": str(tmp_path / "store"), "ELT_ENV_IMAGE_BASE": "host"}
            made = Team(terminal, store, REPOSITORY / "elt_env" / "defs" / "dagster.yaml")
        for name, text in made.variables.items():
            monkeypatch.setenv(name, text)
        yield opened.enter_context(contextlib.closing(made))


def _under_way(instance: dg.DagsterInstance) -> Mapping[str, int]:
    """Return the steps of the newest run that have begun and not ended, each with its process."""
    kinds = {dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS}
    found = {}
    for run in instance.get_runs(limit=1):
        for each in instance.all_logs(run.run_id, of_type=kinds):
            event = each.dagster_event
            if event and event.step_key and event.pid and event.is_step_start:
                found[event.step_key.partition(".")[2]] = event.pid
            elif event and event.step_key:
                found.pop(event.step_key.partition(".")[2], None)
    return found


def _carry_out(team: Team, job: str, kill_in: set[str]) -> None:
    """Do a job to its end; whoever is in one of those steps is killed, and another one started.

    That is a Celery worker, or else the run: then it is run again, by hand.
    """
    office, workers = team.machine("office"), ("one", "two")
    command = team.terminal.site.execute_command(job, team.terminal.python)[2:]
    start = {"run": partial(team.start, office, "run", *command)}
    if team.variables.get("ELT_ENV_EXECUTOR") == "celery":
        start |= {each: partial(team.worker, each) for each in workers}
    left, deadline = {*kill_in}, time.monotonic() + _SECONDS
    with team.instance() as instance:  # before all others, who would make its tables at once
        running = {name: each() for name, each in start.items()}
        while (code := running["run"].poll()) is None and time.monotonic() < deadline:
            for step, process in _under_way(instance).items():
                with contextlib.suppress(ProcessLookupError):
                    session = os.getsid(process)
                    who = [name for name, each in running.items() if each.pid == session]
                    if step in left and who:
                        end(running[who[0]])
                        running[who[0]] = start[who[0]]()
                        left.remove(step)
            time.sleep(0.05)
    told = log_tail([office, *(team.machine(each) for each in workers)])
    assert code == 0, told
    assert not left, told
    for each in running.values():
        end(each)


def _released(team: Team) -> str:
    """Return the digest of what is released, which has passed all checks and has its image."""
    shown = team.machine("office").show()
    digest = shown["release"]["current"]
    assert digest == shown["lock"]["digest"]
    assert shown["release"]["image"] == shown["image"]["digest"]
    assert "failed" not in {each["status"] for each in shown["evidence"]}
    assert "passed" in {each["status"] for each in shown["evidence"]}
    return str(digest)


def test_what_a_spec_asks_for_comes_to_run_on_a_follower(team: Team, tmp_path: Path) -> None:
    url = team.variables["ELT_ENV_HOME"]
    login = {name: text for name, text in team.variables.items() if name.startswith("AWS_")}
    follower = Follower(tmp_path / "follower", team.terminal.target, url, login)

    _carry_out(team, "elt_build", _LONG)
    first = _released(team)
    for words in ("is released as", "prefix: ", "is sealed"):
        follower.killed_after(words)
    assert first in follower.followed()
    assert first[7:19] in follower.runs()

    team.terminal.offer("part", "1.1")
    _carry_out(team, "elt_relock", {"create_prefix"})
    second = _released(team)
    assert second != first
    follower.killed_after("is sealed")
    assert first[7:19] in follower.runs()
    assert second in follower.followed()
    assert second[7:19] in follower.runs()

    assert follower.typed("verify", follower.target).exit_code == 0
    assert len(team.machine("office").history()) == 2
