"""Runs a prefix's dbt in forks of one interpreter that has imported it once.

The launcher of dbt runs as it would be started, with its arguments, variables, directory and
streams, but for the interpreter's own start and the imports, which are two seconds each time, and
without the search for garbage. A program stands in for it, for whoever starts dbt by a path; one
runs at a time.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

_MODULES = ("dbt.cli.main", "dbt.adapters.duckdb", "dbt.task.build", "dbt.task.parse")
_STREAMS = 3
_STAND_IN = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.connect({address!r})
    socket.send_fds(client, [b"-"], [0, 1, 2])
    asked = {{"arguments": sys.argv[1:], "place": os.getcwd(), "variables": dict(os.environ)}}
    client.sendall(json.dumps(asked).encode())
    client.shutdown(socket.SHUT_WR)
    code = client.recv(16)
sys.exit(int(code or 1))
"""


@contextlib.contextmanager
def dbt_forks(launcher: str) -> "Iterator[Path]":
    """Yield a program that runs dbt's launcher in a fork; the caller has no threads yet.

    dbt is imported meanwhile; why that fails, each run of the program says.
    """
    place = Path(tempfile.mkdtemp(prefix="elt-env-dbt-"))
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(place / "socket"))
    server.listen()
    process = os.fork()
    if not process:
        _serve(server, launcher)
    server.close()
    try:
        yield _stand_in(place)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        shutil.rmtree(place, ignore_errors=True)


def _stand_in(place: Path) -> Path:
    code = place / "dbt.py"
    code.write_text(_STAND_IN.format(address=str(place / "socket")))
    program = place / "dbt"
    # A "#!" line has no room for long paths.
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {code} "$@"\n')
    program.chmod(0o755)
    return program


def _serve(server: socket.socket, launcher: str) -> None:
    for each in _MODULES:
        with contextlib.suppress(BaseException):  # the launcher meets it again, and says it
            importlib.import_module(each)
    gc.freeze()
    while True:
        client, _ = server.accept()
        with client, contextlib.suppress(OSError, ValueError):  # who asked is gone
            _answer(client, launcher)


def _answer(client: socket.socket, launcher: str) -> None:
    _, streams, *_ = socket.recv_fds(client, 1, _STREAMS)
    asked = json.loads(b"".join(iter(lambda: client.recv(65536), b"")))
    run = os.fork()
    if not run:
        code = 1
        try:
            code = _run(launcher, asked, streams)
        finally:
            os._exit(code)
    for each in streams:
        os.close(each)
    _, status = os.waitpid(run, 0)
    client.sendall(str(os.waitstatus_to_exitcode(status) & 255).encode())


def _run(launcher: str, asked: "dict[str, object]", streams: "Sequence[int]") -> int:
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    os.chdir(str(asked["place"]))
    os.environ.clear()
    os.environ.update(asked["variables"])  # type: ignore[call-overload]
    sys.argv = [launcher, *asked["arguments"]]  # type: ignore[misc]
    code: object = 0
    try:
        runpy.run_path(launcher, run_name="__main__")
    except SystemExit as end:
        code = end.code
        if not isinstance(code, (int, type(None))):
            print(code, file=sys.stderr)  # noqa: T201  # as the interpreter does
    except BaseException:  # noqa: BLE001  # as the interpreter does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)
