"""A new release, as Dagster's own daemon brings it into a lock."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import SensorInstigatorData

from elt_env.defs.run_tags import LOCK, TRIGGER
from elt_env.defs.sensors.instance import NAME
from tests.support.channel import Channel
from tests.support.chat import Chat, chatting
from tests.support.commands import Site, make_site
from tests.support.daemon import (
    code_servers,
    daemon,
    failures,
    skip_reasons,
    wait_for,
    web_server,
)
from tests.support.index_server import IndexServer
from tests.support.project import make_project
from tests.support.watching import PYPI, SPEC
from tests.support.web_ui import ask, free_port
from tests.support.wheels import make_wheel

_TARGET = "elt@3.11"
_Found = TypeVar("_Found")
_POLICY = {
    "cooldown": "0",
    "watch-interval": "0",
    "relock-schedule": "",
    "gc-schedule": "",
    "warehouse": False,
}


@pytest.fixture
def site(tmp_path: Path, index: IndexServer, python_channel: Channel) -> Site:
    """A project with a lock of `tool`, of which nothing is built."""
    index.add(make_wheel(tmp_path, "tool", "1.0"))
    project = tmp_path / "project"
    project.mkdir()
    own = {"promote": "manual"}
    channels = [python_channel.url]
    make_project(
        project,
        channels=channels,
        index=index.url,
        pip=["tool"],
        policy=_POLICY,
        environment=own,
        pythons=("3.11", "3.12"),  # the channel has none after these
    )
    made = make_site(tmp_path, project)
    with (made.dagster_home / "dagster.yaml").open("a", encoding="utf-8") as file:
        file.write("code_servers:\n  local_startup_timeout: 300\n")
    assert made.elt_env("lock", _TARGET).returncode == 0
    return made


@pytest.fixture
def instance(site: Site) -> Iterator[dg.DagsterInstance]:
    """The site's instance, as this process sees it."""
    with dg.DagsterInstance.from_config(str(site.dagster_home)) as opened:
        yield opened


def _runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Return the runs that a release led to, the first one first."""
    records = instance.get_run_records(ascending=True)
    return [each.dagster_run for each in records if LOCK in each.dagster_run.tags]


def _shown(port: int) -> list[dict[str, str]]:
    """Return the runs that a web server shows, once it does."""
    asked = "{ runsOrError { ... on Runs { results { runId status } } } }"
    with contextlib.suppress(OSError):
        found = ask(f"http://127.0.0.1:{port}", asked)["runsOrError"]["results"]
        return found or [{}]
    return []


@pytest.mark.slow
def test_a_release_leads_to_one_run_whatever_happens_to_the_daemon_and_the_web_server(
    site: Site, index: IndexServer, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    port = free_port()
    with daemon(site) as killed, web_server(site, port) as gone:
        wait_for(lambda: skip_reasons(instance, PYPI, 0.0), "the first tick")
        wait_for(lambda: _shown(port), "the web server")
        gone.kill()
        index.add(make_wheel(tmp_path, "tool", "1.1"))
        (run,) = wait_for(lambda: _runs(instance), "the run")
        assert run.tags[TRIGGER] == "tool 1.0 → 1.1"
        wait_for(lambda: _has_begun(instance, run), "the begin of the run")
        # The daemon alone: what it started for the run goes on.
        killed.kill()
        with daemon(site):
            assert wait_for(lambda: _end(instance, run), "the end of the run") == "SUCCESS"
            since = time.time()
            reasons = wait_for(lambda: skip_reasons(instance, PYPI, since), "a tick after the run")
            with web_server(site, port):
                shown = wait_for(lambda: _shown(port), "the web server once more")
    assert {"runId": run.run_id, "status": "SUCCESS"} in shown
    assert "elt@3.11: nothing new for what is locked (1 package looked at)" in reasons[0]
    assert len(_runs(instance)) == 1
    content = site.show(_TARGET)
    assert content["lock"]["digest"] == run.tags[LOCK]
    assert content["prefix"]["ready"]
    told = site.elt_env("diff", _TARGET).stdout
    assert "tool 1.0 → 1.1" in told


@pytest.mark.slow
def test_a_run_that_ended_with_the_machine_is_made_up_for(
    site: Site, index: IndexServer, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    with daemon(site) as stopped:
        wait_for(lambda: skip_reasons(instance, PYPI, 0.0), "the first tick")
        index.add(make_wheel(tmp_path, "tool", "1.1"))
        (run,) = wait_for(lambda: _runs(instance), "the run")
        wait_for(lambda: _has_begun(instance, run), "the begin of the run")
        os.killpg(stopped.pid, signal.SIGINT)
        assert wait_for(lambda: _end(instance, run), "the end of the run") == "FAILURE"
    with daemon(site):
        _, again = wait_for(lambda: _two(_runs(instance)), "another run")
        assert again.tags["dagster/run_key"] == f"{run.tags['dagster/run_key']} try 2"
        digest = again.tags[LOCK]
        wait_for(lambda: site.show(_TARGET)["lock"]["digest"] == digest, "the new lock")


def _queued_for(instance: dg.DagsterInstance, pool: str) -> bool:
    """Tell whether a run stands in the queue while another holds the pool, as the UI shows it."""
    queued = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    held = instance.event_log_storage.get_concurrency_info(pool)
    begun = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    return bool(queued) and held.limit == 1 and bool(instance.get_run_records(begun))


@pytest.mark.slow
def test_two_runs_of_an_environment_are_queued_one_behind_the_other(
    site: Site, instance: dg.DagsterInstance
) -> None:
    instance.dispose()
    shipped = files("elt_env.defs").joinpath("dagster.yaml").read_text(encoding="utf-8")
    (site.dagster_home / "dagster.yaml").write_text(
        f"{shipped}code_servers:\n  local_startup_timeout: 300\n", encoding="utf-8"
    )
    arguments = site.execute_command("elt_build", "3.11")
    arguments = arguments[arguments.index("execute") + 1 :]

    def launch() -> None:
        launched = site.run_dagster("job", "launch", *arguments)
        assert launched.returncode == 0, launched.stdout + launched.stderr

    mine = dg.RunsFilter(job_name="elt_build")
    with dg.DagsterInstance.from_config(str(site.dagster_home)) as limited:
        with daemon(site):
            launch()  # Dagster knows a pool from the first look at its queue on
            (first,) = limited.get_runs(mine)
            assert wait_for(lambda: _end(limited, first), "an end") == "SUCCESS"
        launch()
        launch()  # both wait for the daemon: to launch one takes longer than to run the other
        with daemon(site):
            wait_for(lambda: _queued_for(limited, "elt"), "a run in the queue behind another")
            runs = limited.get_runs(mine)
            ends = [wait_for(functools.partial(_end, limited, each), "an end") for each in runs]
        assert ends == ["SUCCESS"] * 3
        records = limited.get_run_records(mine)
    spans = sorted((each.start_time or 0.0, each.end_time or 0.0) for each in records)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


@pytest.fixture
def chat(site: Site) -> Iterator[Chat]:
    """What the webhook of the site's policy takes."""
    with chatting() as made:
        policy = site.directory / "pyproject.toml"
        webhook = made.url.rpartition("/")[0]
        head = "[tool.elt-env]\n"
        text = policy.read_text(encoding="utf-8")
        policy.write_text(text.replace(head, f'{head}notify-webhook = "{webhook}"\n'))
        yield made


@pytest.mark.slow
def test_a_run_whose_process_is_killed_ends_and_is_told_and_made_up_for(
    site: Site, index: IndexServer, instance: dg.DagsterInstance, tmp_path: Path, chat: Chat
) -> None:
    def killed(number: int, *others: int) -> dg.DagsterRun:
        run = wait_for(lambda: _runs(instance)[number:], "the run")[0]
        worker = wait_for(lambda: _process(instance, run), "the begin of a step")
        for each in (worker, *others):
            os.kill(each, signal.SIGKILL)
        assert wait_for(lambda: _end(instance, run), "the end of the run") == "FAILURE"
        return run

    with daemon(site) as process:
        wait_for(lambda: skip_reasons(instance, PYPI, 0.0), "the first tick")
        index.add(make_wheel(tmp_path, "tool", "1.1"))
        lost = [killed(0), killed(1, *code_servers(process.pid))]
        *_, last = wait_for(lambda: _at_least(3, _runs(instance)), "the third run")
        digest = last.tags[LOCK]
        wait_for(lambda: site.show(_TARGET)["lock"]["digest"] == digest, "the new lock")
        ids = {each.run_id for each in lost}
        wait_for(lambda: ids <= {each["run"] for each in _blocked(chat)}, "both notices")
    told = {each["run"]: each for each in _blocked(chat)}
    # The code server may be killed between telling of the first one and noting that it was told.
    assert [each["run"] for each in _blocked(chat)].count(lost[1].run_id) == 1
    assert len(_blocked(chat)) <= len(told) + 1
    for run in lost:
        assert told[run.run_id]["target"] == _TARGET
        assert f"the run {run.run_id[:8]} of elt_build was lost: " in told[run.run_id]["detail"]
    # What is launched while its code server dies is lost with it.
    ends = {each.run_id: _end(instance, each) for each in _runs(instance)}
    assert {ends[each] for each in told} == {"FAILURE"}


def _trouble(instance: dg.DagsterInstance, since: float) -> list[str]:
    """Return why a tick failed of one of the sensors that look at the spec and the policy."""
    return failures(instance, SPEC, since) or failures(instance, PYPI, since)


def _not_loaded(site: Site) -> list[str]:
    """Return why the code location did not load.

    The daemon loads it anew every minute; where the policy cannot be read, no sensor ticks then.
    """
    lines = (site.dagster_home / "daemon.log").read_text(encoding="utf-8").splitlines()
    return [each for each in lines if each.startswith("elt_env.errors.PolicyError: ")]


@pytest.mark.slow
def test_trouble_is_seen_and_told_while_it_lasts_and_goes_without_a_person(
    site: Site, index: IndexServer, instance: dg.DagsterInstance, chat: Chat
) -> None:
    def calm(sensor: str) -> list[str]:
        since = time.time()
        return wait_for(lambda: skip_reasons(instance, sensor, since), f"a calm tick of {sensor}")

    spec = site.directory / "environments" / "elt.yml"
    text = spec.read_text(encoding="utf-8")
    policy = site.directory / "pyproject.toml"
    with daemon(site) as process:
        calm(PYPI)
        since, index.fault = time.time(), "500"
        told = wait_for(lambda: _at_least(3, failures(instance, PYPI, since)), "three failures")
        assert all("500" in each and "elt@3.11" in each for each in told), told
        index.fault = None
        assert "nothing new" in calm(PYPI)[0]

        for file, broken, kept in (
            (spec, text + "  - [\n", text),
            (policy, "[tool.elt-env\n", policy.read_text(encoding="utf-8")),
        ):
            since = time.time()
            file.write_text(broken, encoding="utf-8")
            told = wait_for(
                lambda: _trouble(instance, since) or _not_loaded(site),  # noqa: B023  # at once
                f"a failure for {file.name}",
            )
            assert file.name in told[0]
            kind = str(file.relative_to(site.directory))
            wait_for(lambda: _told(chat, kind), f"a notice about {file.name}")  # noqa: B023
            file.write_text(kept, encoding="utf-8")
            assert "the lock satisfies the spec" in calm(SPEC)[0]

        for server in code_servers(process.pid):
            os.kill(server, signal.SIGKILL)
        assert "nothing new" in calm(PYPI)[0]
    assert not _runs(instance)
    # Each kind once, whichever sensors saw it and how often.
    kinds = ["500", "environments/elt.yml", "pyproject.toml"]
    taken = [each for each in chat.taken if not each["run"]]
    assert len(taken) == len(kinds), "\n".join(f"{each}" for each in taken)
    for kind, each in zip(kinds, taken, strict=True):
        assert (each["outcome"], each["target"]) == ("blocked", _TARGET)
        assert kind in each["detail"]


@pytest.mark.slow
def test_a_clock_that_was_set_back_is_told_and_no_sensor_waits_for_the_time_to_come_again(
    site: Site, instance: dg.DagsterInstance, chat: Chat
) -> None:
    with daemon(site):
        wait_for(lambda: skip_reasons(instance, SPEC, 0.0), "a tick")
    # Seen from now, all that was before is of tomorrow.
    _move_ticks(instance, 86400.0)
    since = time.time()
    with daemon(site):
        (told, *_) = wait_for(lambda: failures(instance, NAME, since), "a failure")
        assert re.search(r"The clock was set back by 2[34] h", told), told
        assert SPEC in told
        wait_for(lambda: skip_reasons(instance, SPEC, since), "a tick of another sensor")
        wait_for(lambda: skip_reasons(instance, NAME, since), "a calm tick")
    assert ["The clock was set back" in each["detail"] for each in chat.taken] == [True]


def _move_ticks(instance: dg.DagsterInstance, seconds: float) -> None:
    for each in instance.all_instigator_state():
        data = each.instigator_data
        assert isinstance(data, SensorInstigatorData)
        moved = data._replace(
            last_tick_timestamp=(data.last_tick_timestamp or 0.0) + seconds,
            last_tick_start_timestamp=(data.last_tick_start_timestamp or 0.0) + seconds,
        )
        instance.update_instigator_state(each.with_data(moved))


def _at_least(number: int, found: list[_Found]) -> list[_Found] | None:
    return found if len(found) >= number else None


def _process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """Return the number of the process that runs a step of a run."""
    started = {dg.DagsterEventType.STEP_START}
    for each in instance.get_records_for_run(run.run_id, of_type=started).records:
        event = each.event_log_entry.dagster_event
        if event and event.pid:
            return event.pid
    return None


def _told(chat: Chat, kind: str) -> bool:
    return any(kind in each["detail"] for each in chat.taken)


def _blocked(chat: Chat) -> list[dict[str, Any]]:
    return [each for each in chat.taken if each["outcome"] == "blocked"]


def _two(runs: list[dg.DagsterRun]) -> list[dg.DagsterRun] | None:
    return runs if len(runs) > 1 else None


def _has_begun(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Tell whether a step of a run has begun."""
    return bool(instance.get_run_step_stats(run.run_id))


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """Return how a run ended; None while it goes on."""
    found = instance.get_run_by_id(run.run_id)
    return found.status.value if found and found.is_finished else None
