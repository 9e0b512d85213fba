"""The page about a deployment does what it says, with a small spec; and Compose reads its file."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.channel import Channel
from tests.support.commands import REPOSITORY
from tests.support.documents import as_script, follow
from tests.support.index_server import IndexServer
from tests.support.s3_server import S3Server
from tests.support.servers import postgres, redis_server
from tests.support.team import Team, shared
from tests.support.terminal import make_terminal

_LIMIT = 60.0
_SECRETS = ("POSTGRES_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.mark.slow
@pytest.mark.xdist_group("s3")
def test_the_page(shared_python: Channel, index: IndexServer, s3: S3Server, tmp_path: Path) -> None:
    terminal = make_terminal(tmp_path / "team", shared_python, index)
    project = terminal.site.directory
    shutil.copytree(REPOSITORY / "deploy", project / "deploy")
    # The store that is moved along; its place is that of a project without a setting.
    first = {"ELT_ENV_HOME": str(project / ".elt_env"), "ELT_ENV_IMAGE_BASE": "host"}
    assert terminal.type("build", terminal.target, **first).returncode == 0
    script = as_script(REPOSITORY / "docs/how-to/deploy.md")
    script = script.replace("3.11", terminal.python)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (
        postgres() as (database, _),
        redis_server(tmp_path / "redis") as broker,
        contextlib.closing(Team(terminal, shared(s3, database, broker, "in-process"))) as made,
    ):
        machine = made.machine("office")
        variables = machine.environment | {
            "PATH": path,
            "DAGSTER_HOME": str(tmp_path / "instance"),
            "ELT_ENV_PROJECT": str(project),
        }
        try:
            follow(script, project, variables)
        finally:
            _end_all(variables["DAGSTER_HOME"])  # the worker that the page begins


def _end_all(dagster_home: str) -> None:
    """End every process of an instance, also one that went into the background."""
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (each / "environ").read_bytes().split(b"\0")
            if f"DAGSTER_HOME={dagster_home}".encode() in variables:
                os.kill(int(each.name), signal.SIGKILL)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose")
def test_compose_reads_its_file_and_wants_the_secrets(tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    variables.write_text("".join(f"{each}=text-of-{each}\n" for each in _SECRETS))
    done = _compose(variables)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    assert {"code", "webserver", "daemon", "postgres", "s3"} <= services.keys()
    for name in ("code", "webserver", "daemon"):
        given = services[name]["environment"]
        assert "text-of-POSTGRES_PASSWORD" in given["DAGSTER_PG_URL"]
    for missing in _SECRETS:
        text = variables.read_text()
        variables.write_text(text.replace(f"{missing}=text-of-{missing}\n", ""))
        refused = _compose(variables)
        variables.write_text(text)
        assert refused.returncode != 0
        assert missing in refused.stderr


def _compose(variables: Path) -> subprocess.CompletedProcess[str]:
    file = str(REPOSITORY / "deploy" / "compose.yaml")
    return subprocess.run(
        ["docker-compose", "-f", file, "--env-file", str(variables), "config"],
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
