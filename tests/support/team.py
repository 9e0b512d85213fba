"""A team's deployment on this machine: a store, a database and a broker, and who works with them.

Every worker has a checkout, caches and an instance directory of its own; they share what a
deployment shares, and no more.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from tests.support.commands import REPOSITORY
from tests.support.machine import Machine
from tests.support.s3_server import S3Server, new_prefix
from tests.support.terminal import Terminal

_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
_VISIBLE = "visibility_timeout: 3600"


@dataclass
class Team:
    """Machines that share what their variables name: a bucket, a PostgreSQL and a redis.

    Attributes:
        terminal: what can be locked.
        variables: what every machine of the deployment is given.
        instance_file: what every machine has for `dagster.yaml`.
        visible: seconds after which redis gives a step to another worker.
    """

    terminal: Terminal
    variables: dict[str, str]
    instance_file: Path = REPOSITORY / "deploy" / "dagster.yaml"
    visible: int = 1
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def machine(self, name: str) -> Machine:
        """Return a machine with nothing on it but the project, and its instance directory."""
        root = self.terminal.root / "machines" / name
        checkout, home = root / "checkout", root / "dagster"
        if not root.exists():
            shutil.copytree(self.terminal.site.directory, checkout)
            home.mkdir()
            shutil.copy(self.instance_file, home / "dagster.yaml")
            celery = (REPOSITORY / "deploy" / "celery.yaml").read_text()
            assert _VISIBLE in celery
            short = celery.replace(_VISIBLE, f"visibility_timeout: {self.visible}")
            (home / "celery.yaml").write_text(short)
        variables = {**self.variables, "DAGSTER_HOME": str(home)}
        return Machine(self.terminal, root / "caches", checkout, variables)

    def start(self, machine: Machine, log_name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a program of this Python on a machine, in a group that ends with the test."""
        log = Path(machine.variables["DAGSTER_HOME"]) / f"{log_name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=machine.project,
                env=machine.environment | {"PATH": _PATH},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._open.callback(end, process)
        return process

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a Celery worker that does a step at a time."""
        machine = self.machine(name.partition("-")[0])
        config = str(Path(machine.variables["DAGSTER_HOME"]) / "celery.yaml")
        return self.start(
            *(machine, name),
            *("dagster_celery.cli", "worker", "start", "-A", "dagster_celery.app", "-y", config),
            *("-n", name, "--", "--concurrency=1"),
        )

    def instance(self) -> contextlib.AbstractContextManager[dg.DagsterInstance]:
        """Return the deployment's instance, as this process sees it."""
        home = self.machine("office").variables["DAGSTER_HOME"]
        return dg.DagsterInstance.from_config(home)

    def close(self) -> None:
        """End all that was started."""
        self._open.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its group, as when its machine is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def shared(s3: S3Server, database: str, broker: str, executor: str) -> dict[str, str]:
    """Return the variables of a deployment.

    Args:
        s3: its store is a new prefix there.
        database: the URL of a PostgreSQL.
        broker: the URL of a redis, or "".
        executor: of its runs.
    """
    return {
        **s3.variables(),
        "ELT_ENV_HOME": f"s3://elt/{new_prefix()}",
        "ELT_ENV_IMAGE_BASE": "host",
        "ELT_ENV_EXECUTOR": executor,
        "ELT_ENV_PROJECT_NAME": "team",
        "DAGSTER_PG_URL": database,
        "DAGSTER_LOG_BUCKET": "elt",
        "DAGSTER_CELERY_BROKER_URL": broker,
        "DAGSTER_CELERY_BACKEND_URL": broker,
    }


def log_tail(machines: Sequence[Machine]) -> str:
    """Return the last lines that programs of machines printed."""
    logs = [
        each
        for machine in machines
        for each in sorted(Path(machine.variables["DAGSTER_HOME"]).glob("*.log"))
    ]
    return "\n".join(f"{each}:\n{each.read_text(errors='replace')[-1500:]}" for each in logs)
