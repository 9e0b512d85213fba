"""buildah builds deploy/Dockerfile on a base that mmdebstrap makes, and what is in it serves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import REPOSITORY
from tests.support.daemon import wait_for
from tests.support.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.registry]

_LIMIT = 1200.0
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_NEEDED = ("buildah", "mmdebstrap")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of the image."""
    if os.geteuid() != 0 or not all(map(shutil.which, _NEEDED)):
        pytest.skip(f"needs {', '.join(_NEEDED)}, and root")
    base, context, made = tmp_path / "base.tar", tmp_path / "context", tmp_path / "image"
    _run("mmdebstrap", "--variant=minbase", "--include=python3-venv", "bookworm", str(base))
    listed = _run("git", "-C", str(REPOSITORY), "ls-files", "-z").split("\0")
    for each in filter(None, listed):
        if (REPOSITORY / each).is_file() and not each.startswith("tests/"):
            (context / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / each, context / each)
    places = ("--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run"))
    buildah = ("buildah", "--storage-driver", "vfs", *places)
    working = _run(*buildah, "from", "scratch").strip()
    _run(*buildah, "add", working, str(base))
    _run(*buildah, "commit", "--rm", working, "localhost/base")
    _run(
        *(*buildah, "bud", "--isolation", "chroot", "--build-arg", "BASE=localhost/base"),
        # How this machine trusts its registry; a machine without such a thing needs none of it.
        *("--volume", f"{_AUTHORITIES}:{_AUTHORITIES}:ro", "--env", f"PIP_CERT={_AUTHORITIES}"),
        *("-f", str(context / "deploy" / "Dockerfile"), "-o", f"type=local,dest={made}"),
        str(context),
    )
    made.chmod(0o755)  # what buildah exports to is its caller's alone
    return made


def _run(*command: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def _inside(root: Path, *command: str) -> list[str]:
    """Return a command as a container runs it: its user, its directory, its variables."""
    variables = ("PATH=/opt/elt-env/bin:/usr/bin:/bin", "DAGSTER_HOME=/var/lib/dagster")
    own = ("ELT_ENV_CACHE_HOME=/var/lib/elt", "HOME=/var/lib/elt", "DAGSTER_LOG_BUCKET=elt")
    script = 'cd /srv/project && exec "$@"'
    chroot = ("chroot", "--userspec=1000:1000", str(root))
    return [*chroot, "env", "-i", *variables, *own, "sh", "-c", script, "sh", *command]


def test_the_image_serves_the_code_location(root: Path) -> None:
    assert not (root / "srv/project/tests").exists()
    for file in ("dagster.yaml", "celery.yaml"):
        assert (root / "var/lib/dagster" / file).read_bytes() == (
            REPOSITORY / "deploy" / file
        ).read_bytes()
    _run(*_inside(root, "elt-env", "--version"))
    _run(*_inside(root, "dagster-celery", "--help"))
    port = str(free_port())
    served = "code-server start -h 127.0.0.1 -m elt_env.definitions --location-name elt_env -p"
    with subprocess.Popen(
        _inside(root, "dagster", *served.split(), port), start_new_session=True
    ) as server:
        try:
            wait_for(lambda: _answers(root, port), "the code location")
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _answers(root: Path, port: str) -> bool:
    command = _inside(root, "dagster", "api", "grpc-health-check", "-p", port)
    return subprocess.run(command, timeout=_LIMIT, check=False).returncode == 0
