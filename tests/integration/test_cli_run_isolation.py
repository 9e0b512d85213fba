"""`elt-env run` by a person whose setup would lead a tool astray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elt_env import probes
from elt_env.machine.system_libraries import system_libraries
from tests.support.channel import Channel
from tests.support.commands import REPOSITORY
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.terminal import LIMIT, Terminal, make_terminal

_PROBE = probes.DIRECTORY / "surroundings.py"
_MODULES = "ssl\nsqlite3\nctypes\nsecrets\ntool\npart\n"
_DBT = """\
def main():
    import json, sys, tool
    json.dump({"prefix": sys.prefix, "tool": tool.__file__, "path": sys.path}, sys.stdout)
"""


@pytest.fixture(scope="module")
def built(shared_python: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal at which an environment with `dbt` is built; not to be changed."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        made = make_terminal(tmp_path_factory.mktemp("astray"), shared_python, index)
        made.offer(
            "dbt-core",
            "1.0",
            files={"dbt_core/__init__.py": _DBT},
            entry_points={"dbt": "dbt_core:main"},
        )
        made.ask_for("tool", "dbt-core")
        done = made.type("build", made.target)
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def astray(built: Terminal, tmp_path: Path) -> dict[str, str]:
    """The variables of the person, with something planted at the end of each."""
    modules, libraries, shims = (tmp_path / name for name in ("modules", "libraries", "shims"))
    user = tmp_path / "user" / "lib" / f"python{built.python}" / "site-packages"
    active = tmp_path / "conda"
    for directory in (modules, libraries, shims, user, active / "bin", active / "lib"):
        directory.mkdir(parents=True)
    for directory in (modules, user):
        for name in ("tool", "part", "secrets", "sitecustomize", "usercustomize"):
            (directory / f"{name}.py").write_text("print('planted')\n")
    for name in ("libz.so.1", "libssl.so.3", "libffi.so.8", f"libpython{built.python}.so.1.0"):
        (libraries / name).touch()
    for directory in (shims, active / "bin"):
        for name in ("dbt", "python", "python3", "tool"):
            (directory / name).write_text("#!/bin/sh\necho planted\n")
            (directory / name).chmod(0o755)
    hooked = {"SSL_CERT_FILE": "ssl/cacert.pem", "OPENSSL_CONF": "ssl/openssl.cnf"}
    return {
        "PATH": os.pathsep.join([str(shims), str(active / "bin"), os.environ["PATH"]]),
        # elt-env itself runs from the source tree in tests.
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(modules)]),
        "PYTHONUSERBASE": str(tmp_path / "user"),
        "LD_LIBRARY_PATH": str(libraries),
        "CONDA_PREFIX": str(active),
        "CONDA_SHLVL": "1",
        **{name: str(active / place) for name, place in hooked.items()},
    }


def run(terminal: Terminal, astray: dict[str, str], *command: str) -> dict[str, Any]:
    """Return what `elt-env run` of the command prints, as JSON, when started by such a person.

    They start it by way of a shell that sets the variables in the very moment: else the planted
    things would hit the interpreter that runs `elt-env` here, which is not the prefix's.
    """
    start = (
        "import os, sys; from elt_env.cli import main; "
        f"os.environ.update({astray!r} | {{'PYTHONHOME': {astray['CONDA_PREFIX']!r}}}); "
        "main(prog_name='elt-env')"
    )
    process = subprocess.run(
        [sys.executable, "-c", start, "run", "elt", "--", *command],
        cwd=terminal.site.directory,
        env=terminal.environment(),
        input=_MODULES,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    told: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return told


def prefix_of(terminal: Terminal) -> Path:
    """Return the prefix of the built environment."""
    [prefix] = (terminal.site.home / "prefixes").glob("elt@*")
    return prefix


def test_dbt_is_the_prefixs(built: Terminal, astray: dict[str, str]) -> None:
    told = run(built, astray, "dbt")
    prefix = prefix_of(built)
    assert told["prefix"] == str(prefix)
    for each in (told["tool"], *filter(None, told["path"])):
        assert Path(each).is_relative_to(prefix), told


def test_python_takes_nothing_from_outside(
    built: Terminal, astray: dict[str, str], tmp_path: Path
) -> None:
    told = run(built, astray, "python", str(_PROBE), "60")
    prefix, system = prefix_of(built).resolve(), system_libraries()
    for name in ("executable", "prefix", "base_prefix"):
        assert Path(told[name]).resolve().is_relative_to(prefix)
    for each in (*told["path"], *(set(told["modules"]) - {str(_PROBE)})):
        assert Path(each).resolve().is_relative_to(prefix), each
    assert any(each.endswith("/tool/__init__.py") for each in told["modules"])
    for each in told["mapped"]:
        assert Path(each).resolve().is_relative_to(prefix) or system.has(each), each
    assert not told["user_site"]
    reached = {name for name, value in told["variables"].items() if str(tmp_path) in value}
    assert reached == {"PATH"}
    assert str(tmp_path / "conda") not in told["variables"]["PATH"]
