"""Runs of a small environment through Dagster's own commands."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from elt_env.proof.checks import NOT_BLOCKING
from elt_env.proof.prove import HEALTH_CHECKS
from tests.support.channel import Channel
from tests.support.commands import Site, make_site
from tests.support.index_server import IndexServer
from tests.support.project import make_project
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.slow

TARGET = "elt@3.11"


@dataclass(frozen=True)
class Small:
    """A small project: Python from a local channel, `tool` and its `part` from a local index."""

    site: Site
    index: IndexServer
    wheels: Path

    def publish(self, name: str, version: str, **properties: object) -> None:
        """Upload a wheel to the index."""
        self.index.add(make_wheel(self.wheels, name, version, **properties))  # type: ignore[arg-type]


@pytest.fixture
def small(tmp_path: Path, index: IndexServer, python_channel: Channel) -> Small:
    project = tmp_path / "project"
    project.mkdir()
    make_project(
        project,
        channels=[python_channel.url],
        index=index.url,
        pip=["tool"],
        policy={"cooldown": "0", "watch": False},
    )
    made = Small(make_site(tmp_path, project), index, tmp_path / "wheels")
    made.wheels.mkdir()
    made.publish("part", "1.0")
    made.publish("tool", "1.0", requires=["part"])
    return made


def test_a_run_builds_and_proves_and_the_next_one_keeps(small: Small) -> None:
    first = small.site.execute("elt_build", "3.11")
    assert first.returncode == 0, first.stderr[-4000:]
    assert re.search(r"__prove - image: on ", first.stderr)  # while the checks ran
    content = small.site.show(TARGET)
    assert content["prefix"]["ready"]
    status = {each["check"]: each["status"] for each in content["evidence"]}
    assert status["pip_check"] == status["imports"] == "passed"
    assert status["dbt_smoke"] == "not_run"  # there is no dbt in this environment
    release = content["release"]
    assert (release["current"], release["number"]) == (content["lock"]["digest"], 1)
    assert release["image"] == content["image"]["digest"]
    assert (Path(release["entry_points"]) / "python").is_file()
    asked = small.index.requests.total()

    again = small.site.execute("elt_build", "3.11")
    assert again.returncode == 0, again.stderr[-4000:]
    assert "lock: kept" in again.stderr
    assert not re.search(r"__prove - image: on ", again.stderr)
    assert small.index.requests.total() == asked
    after = small.site.show(TARGET)
    assert {**after, "evidence": _held(after)} == {**content, "evidence": _held(content)}


def test_relock_upgrades_and_a_tag_names_what_may_move(small: Small) -> None:
    assert small.site.elt_env("lock", TARGET).returncode == 0
    small.publish("part", "1.1")
    small.publish("tool", "1.1", requires=["part"])

    kept = small.site.execute("elt_build", "3.11")
    assert "lock: kept" in kept.stderr
    # Where a person promotes, what is released stays, and is kept whole.
    release = small.site.show(TARGET)["release"]
    launcher = Path(release["entry_points"]) / "python"
    launcher.unlink()
    manual = {"ELT_ENV_ENVIRONMENTS__ELT__PROMOTE": "manual"}
    named = small.site.execute("elt_relock", "3.11", manual, upgrade="part")
    assert named.returncode == 0, named.stderr[-4000:]
    assert small.site.show(TARGET)["release"] == release
    assert launcher.is_file()
    told = small.site.elt_env("diff", TARGET).stdout
    assert told.startswith(f"{TARGET}: 1 upgraded\n^ part 1.0 → 1.1 ")
    everything = small.site.execute("elt_relock", "3.11")
    assert everything.returncode == 0, everything.stderr[-4000:]
    assert "^ tool 1.0 → 1.1 " in small.site.elt_env("diff", TARGET).stdout


def test_a_failing_check_fails_the_run_and_names_the_culprit(small: Small) -> None:
    broken = {"tool/__init__.py": "raise ImportError('libfoo.so.1 is missing')"}
    small.publish("tool", "2.0", files=broken)
    done = small.site.execute("elt_build", "3.11")
    assert done.returncode == 1
    evidence = {each["check"]: each for each in small.site.show(TARGET)["evidence"]}
    assert evidence["imports"]["status"] == "failed"
    assert "tool of tool 2.0: ImportError: libfoo.so.1 is missing" in evidence["imports"]["detail"]
    last = done.stderr[done.stderr.rindex("imports failed: ") :]
    assert "tool of tool 2.0: ImportError: libfoo.so.1 is missing" in last
    shown = small.site.show(TARGET)
    assert (shown["release"], shown["image"]) == (None, None)
    # The others ran beside it and have said what they saw.
    assert evidence["pip_check"]["status"] == evidence["binary_abi"]["status"] == "passed"
    assert not evidence.keys() & set(NOT_BLOCKING)

    again = small.site.execute("elt_health", "3.11")
    assert again.returncode == 1
    after = {each["check"]: each for each in small.site.show(TARGET)["evidence"]}
    assert after.keys() == set(HEALTH_CHECKS)
    assert after["pip_check"]["at"] > evidence["pip_check"]["at"]
    assert after["reproducible"]["status"] == "passed"


def test_a_mistake_in_the_spec_is_one_message_without_a_traceback(small: Small) -> None:
    path = small.site.directory / "environments" / "elt.yml"
    path.write_text(path.read_text().replace("tool", "tool >>1"))
    done = small.site.execute("elt_build", "3.11")
    assert done.returncode != 0
    assert re.search(r"environments/elt\.yml, line \d+: the version of 'tool >>1'", done.stderr)
    assert "Write 'tool >1'." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_a_partition_says_which_there_are(small: Small) -> None:
    command = small.site.execute_command("elt_build", "3.11")
    command = command[: command.index("--tags")]
    done = subprocess.run(
        command,
        cwd=small.site.directory,
        env=small.site.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "No Python was chosen for 'elt'" in done.stderr
    assert "3.11" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_leaves_no_process_and_the_next_one_completes(
    small: Small, number: signal.Signals
) -> None:
    assert small.site.elt_env("lock", TARGET).returncode == 0
    small.index.fault, small.index.patience = "slow", 60
    with _started(small.site) as run:
        _wait_for_installer(small.site.home)
        run.send_signal(number)
        run.communicate(timeout=60)
    assert run.returncode != 0
    assert _gone(small.site.home)
    assert not small.site.show(TARGET)["prefix"]["ready"]

    small.index.fault = None
    assert small.site.execute("elt_build", "3.11").returncode == 0
    assert small.site.show(TARGET)["prefix"]["ready"]


def test_two_runs_at_once_never_build_over_each_other(small: Small) -> None:
    assert small.site.elt_env("build", TARGET).returncode == 0
    small.publish("tool", "1.1", requires=["part"])
    assert small.site.elt_env("relock", TARGET).returncode == 0
    # Two processes that are the first to use an instance break it; `make setup` makes it first.
    assert small.site.run_dagster("instance", "info").returncode == 0
    with _started(small.site) as one, _started(small.site) as other:
        runs = (one, other)
        outputs = [run.communicate(timeout=240)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(each[-2000:] for each in outputs)
    assert sum(each.count("pip: installing") for each in outputs) == 1
    assert small.site.show(TARGET)["prefix"]["ready"]


def _held(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the evidence that holds; what could not run is tried at every build."""
    return [each for each in content["evidence"] if each["status"] == "passed"]


@contextlib.contextmanager
def _started(site: Site) -> Iterator[subprocess.Popen[str]]:
    """Start a run; it is gone when the block ends."""
    with subprocess.Popen(
        site.execute_command("elt_build", "3.11"),
        cwd=site.directory,
        env=site.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def _wait_for_installer(home: Path) -> None:
    _wait_for(home, b"install")


def _wait_for(home: Path, word: bytes) -> None:
    end = time.monotonic() + 90
    while not any(word in _command(pid) for pid in _processes(home)):
        assert time.monotonic() < end, f"nothing with {word!r} in its command ever started"
        time.sleep(0.02)


def _processes(home: Path) -> list[int]:
    """Return the processes, but this one, whose command names the store."""
    return [pid for pid in _pids() if os.fsencode(home) in _command(pid) and pid != os.getpid()]


def _gone(home: Path) -> bool:
    end = time.monotonic() + 10
    while _processes(home):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _pids() -> Iterator[int]:
    return (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
