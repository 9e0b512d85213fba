"""PostgreSQL and redis of Debian on 127.0.0.1, which a deployment stands on."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis

_HOST = "127.0.0.1"
_LIMIT = 60.0
_PROGRAMS = Path("/usr/lib/postgresql")
PASSWORD = "pg-s3cret-of-the-test"  # noqa: S105  # of a server that ends with the test


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as free:
        free.bind((_HOST, 0))
        return int(free.getsockname()[1])


@dataclass
class Server:
    """A server that can be stopped and started again where it was.

    Attributes:
        command: what starts it.
        options: of the process.
        answers: tells whether it does.
    """

    command: Sequence[str]
    answers: Callable[[], bool]
    directory: Path
    user: int | None = None
    group: int | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        log = (self.directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                group=self.group,
            )
        end = time.monotonic() + _LIMIT
        while not self.answers():
            assert self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < end, (self.directory / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as an administrator does, without waiting for those who are connected."""
        if self._process:
            self._process.send_signal(signal.SIGINT)  # of PostgreSQL: a fast shutdown
            self._process.wait(_LIMIT)

    def kill(self) -> None:
        """End it, be it stopped."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_LIMIT)


@contextlib.contextmanager
def postgres() -> Iterator[tuple[str, Server]]:
    """Run a PostgreSQL that asks for a password; yield the URL of a database, and the server."""
    place = Path(tempfile.mkdtemp(prefix="elt-env-pg-"))
    user = group = None
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        *_, user, group = pwd.getpwnam("postgres")[:4]
        os.chown(place, user, group)
    (place / "password").write_text(PASSWORD)
    programs, port = max(_PROGRAMS.glob("*/bin")), free_port()
    data, where = str(place / "data"), ("-h", _HOST, "-p", str(port))
    options = ("-U", "elt", "-A", "scram-sha-256", "--pwfile", str(place / "password"))
    server = Server(
        [str(programs / "postgres"), "-D", data, *where, "-k", str(place)],
        lambda: _succeeds(str(programs / "pg_isready"), *where),
        *(place, user, group),
    )
    try:
        subprocess.run(
            [programs / "initdb", "-D", data, *options, "-E", "UTF8", "--locale=C", "--no-sync"],
            cwd=place,
            check=True,
            capture_output=True,
            timeout=_LIMIT,
            user=user,
            group=group,
        )
        server.start()
        yield f"postgresql://elt:{PASSWORD}@{_HOST}:{port}/postgres", server
    finally:
        server.kill()
        shutil.rmtree(place, ignore_errors=True)


def _succeeds(*command: str) -> bool:
    done = subprocess.run(command, capture_output=True, timeout=_LIMIT, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """Run a redis that keeps nothing; yield its URL."""
    directory.mkdir(parents=True)
    port = free_port()
    options = ("--bind", _HOST, "--save", "", "--appendonly", "no", "--dir", str(directory))
    client = redis.Redis(_HOST, port)

    def answers() -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    server = Server(["redis-server", "--port", str(port), *options], answers, directory)
    try:
        server.start()
        yield f"redis://{_HOST}:{port}/0"
    finally:
        client.close()
        server.kill()
