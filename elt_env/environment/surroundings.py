"""Detect what a prefix's tool takes from outside it in a caller's hostile environment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elt_env import probes
from elt_env.environment.modules import OUT_OF_PATIENCE, PATIENCE
from elt_env.environment.prefix import Prefix
from elt_env.machine.environment_variables import prefix_environment, user_environment
from elt_env.machine.process import end_of, run
from elt_env.machine.scratch import scratch_directory

_PROBE = probes.DIRECTORY / "surroundings.py"
# Modules that would take the place of the standard library's and of the tools' own.
_SHADOWS = ("secrets", "ssl", "packaging", "click", "sitecustomize", "usercustomize")
_LIBRARIES = ("libz.so.1", "libssl.so.3", "libcrypto.so.3", "libffi.so.8", "libstdc++.so.6")


@dataclass(frozen=True)
class Caller:
    """Somebody whose environment would lead a tool astray.

    Attributes:
        place: the directory in which everything foreign lies.
        variables: the environment.
    """

    place: Path
    variables: Mapping[str, str]


@contextmanager
def hostile_caller(prefix: Prefix, programs: Sequence[str]) -> Iterator[Caller]:
    """Yield a caller with modules, libraries, a user site and programs that are not the prefix's.

    On top of what this process's own environment holds. The libraries hold nothing, so a loader
    that takes one ends with its name.
    """
    version = prefix.lock.target.python
    with scratch_directory("hostile") as name:
        place = Path(os.path.realpath(name))
        modules, libraries, bin_ = place / "modules", place / "libraries", place / "bin"
        user = place / "home" / ".local" / "lib" / f"python{version}" / "site-packages"
        for directory in (modules, libraries, bin_, user):
            directory.mkdir(parents=True)
        for module in _SHADOWS:
            for directory in (modules, user):
                (directory / f"{module}.py").write_text("# not the prefix's\n", encoding="utf-8")
        for library in (*_LIBRARIES, f"libpython{version}.so.1.0"):
            (libraries / library).touch()
        for program in programs:
            (bin_ / program).write_text("#!/bin/sh\nexit 97\n", encoding="utf-8")
            (bin_ / program).chmod(0o755)
        yield Caller(place, {**os.environ, **_variables(place)})


def _variables(place: Path) -> dict[str, str]:
    return {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(place / "home"),
        "PYTHONPATH": str(place / "modules"),
        "PYTHONHOME": str(place),
        "PYTHONUSERBASE": str(place / "home" / ".local"),
        "PYTHONSTARTUP": str(place / "modules" / "secrets.py"),
        "LD_LIBRARY_PATH": str(place / "libraries"),
        "VIRTUAL_ENV": str(place / "venv"),
        "CONDA_PREFIX": str(place / "conda"),
        "OPENSSL_MODULES": str(place / "conda" / "lib" / "ossl-modules"),  # as its hooks set it
        "PIP_TARGET": str(place / "modules"),
    }


@dataclass(frozen=True)
class Surroundings:
    """Where the prefix's interpreter takes its things from.

    Attributes:
        fault: why it did not tell, in a line; everything else is empty then.
        path: its sys.path, without what the modules appended while they were imported.
        modules: the files of the modules that were imported.
        mapped: the shared objects in its memory.
        variables: its environment.
    """

    fault: str | None = None
    executable: str = ""
    prefix: str = ""
    base_prefix: str = ""
    path: tuple[str, ...] = ()
    user_site: bool = False
    modules: tuple[str, ...] = ()
    mapped: tuple[str, ...] = ()
    variables: Mapping[str, str] | None = None


def tool_variables(prefix: Prefix, caller: Caller) -> dict[str, str]:
    """Return the variables of every tool that this program starts for that caller."""
    return prefix_environment(prefix.path, base=caller.variables)


def person_variables(prefix: Prefix, caller: Caller) -> dict[str, str]:
    """Return the variables of what that caller runs by `elt-env run` and `elt-env shell`."""
    return user_environment(prefix.path, caller.variables)


def look_around(
    prefix: Prefix,
    modules: Sequence[str],
    caller: Caller,
    variables: Mapping[str, str],
    limit: float,
) -> Surroundings:
    """Start the prefix's interpreter for that caller with these variables, and ask it.

    Args:
        prefix: where it is installed.
        modules: what it imports before it answers.
        caller: in whose directory it is started.
        variables: what is made of the caller's environment.
        limit: seconds it may take.

    Raises:
        TimeLimitError: it took longer.
        ToolError: it cannot be started.
    """
    (caller.place / "cwd").mkdir(exist_ok=True)
    done = run(
        [prefix.python, _PROBE, str(PATIENCE)],
        input="\n".join(modules),
        limit=limit,
        env=variables,
        cwd=caller.place / "cwd",
    )
    answer = done.stdout.strip().splitlines()
    if done.returncode or not answer:
        if answer and OUT_OF_PATIENCE in done.stderr:
            return Surroundings(f"the import of {answer[-1]} takes longer than {PATIENCE:g} s")
        return Surroundings(f"exit code {done.returncode}: {end_of(done.stderr.strip(), 3)}")
    content: dict[str, Any] = json.loads(answer[-1])
    lists = ("path", "modules", "mapped")
    return Surroundings(**(content | {name: tuple(content[name]) for name in lists}))
