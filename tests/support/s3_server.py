"""A real S3 server on 127.0.0.1: SeaweedFS, from PyPI."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from tests.support.installed_tools import installed_tool

_HOST = "127.0.0.1"
_LIMIT = 60.0
_TRIES = 3
KEY, SECRET = "AKIDOFTHETEST", "s3cret-of-the-test-0123456789"
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
_PORTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class S3Server:
    """A server with one bucket, `elt`."""

    host: str

    def variables(self, host: str = "") -> dict[str, str]:
        """Return what a user of it has in the environment; `host` is that of a proxy before it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{host or self.host}",
            "AWS_REGION": "us-east-1",
        }

    def bucket(
        self,
        prefix: str,
        host: str = "",
        *,
        name: str = "elt",
        secret: str = SECRET,
        patience: float = 20.0,
    ) -> ObjectStore:
        """Return the client of a prefix in its bucket."""
        variables = self.variables(host)
        return S3Store(
            name,
            prefix=prefix or None,
            endpoint=variables["AWS_ENDPOINT_URL"],
            access_key_id=KEY,
            secret_access_key=secret,
            region="us-east-1",
            client_options={"allow_http": True, "timeout": "10s"},
            retry_config={"max_retries": 20, "retry_timeout": timedelta(seconds=patience)},
        )


def new_prefix() -> str:
    """Return a prefix that nobody else uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@contextlib.contextmanager
def s3_server(directory: Path) -> Iterator[S3Server]:
    """Run a server that keeps its objects in `directory`."""
    program = installed_tool("s3-server") / "bin" / "weed"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "s3.json").write_text(json.dumps(_config()))
    for left in reversed(range(_TRIES)):
        ports = _free_ports()
        with _running(program, directory, ports) as process:
            server = S3Server(f"{_HOST}:{ports['s3.port']}")
            # Somebody else may have taken one of the ports meanwhile.
            if _answers(server, process):
                yield server
                return
        assert left, (directory / "log").read_text()


@contextlib.contextmanager
def _running(
    program: Path, directory: Path, ports: Mapping[str, int]
) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        *("setpriv", "--pdeathsig", "KILL", str(program), "server"),
        *(f"-ip={_HOST}", f"-ip.bind={_HOST}", f"-dir={directory}"),
        *("-s3", "-filer", f"-s3.config={directory / 's3.json'}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=20"),
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=directory)
    try:
        yield process
    finally:
        process.kill()  # told to end, it takes 25 seconds
        process.wait()


def _config() -> Mapping[str, object]:
    login = {"accessKey": KEY, "secretKey": SECRET}
    return {"identities": [{"name": "test", "credentials": [login], "actions": _ACTIONS}]}


def _answers(server: S3Server, process: subprocess.Popen[bytes]) -> bool:
    """Return whether something can be put into the bucket, which is made by that."""
    deadline = time.monotonic() + _LIMIT
    bucket = server.bucket("started", patience=1.0)
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(BaseError, OSError):
            obstore.put(bucket, "now", b"1")
            return True
        time.sleep(0.2)
    return False


def _free_ports() -> dict[str, int]:
    """Return a free port for each part of a server and each of their protocols."""
    with contextlib.ExitStack() as held:
        free = {
            f"{name}.port{kind}": held.enter_context(socket.socket())
            for name in _PORTS
            for kind in ("", ".grpc")
        }
        for each in free.values():
            each.bind((_HOST, 0))
        return {name: int(each.getsockname()[1]) for name, each in free.items()}
