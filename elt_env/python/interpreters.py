"""The CPython interpreters of this machine: for a conda package of one, or for a venv."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packaging.version import Version

from elt_env.errors import EltEnvError, PolicyError, ToolError
from elt_env.machine.process import run

_OLDEST = (3, 8)
_DEBIAN = {"deb_system", "posix_local"}
_LIMIT = 20.0
_THREADS = 8
_NAME = re.compile(r"python3(\.\d+)?")
_UNDATED = datetime(1980, 1, 2, tzinfo=timezone.utc)
_PROBE = """\
import json, platform, sys, sysconfig
try:
    build = __import__(sysconfig._get_sysconfigdata_name()).build_time_vars
except (AttributeError, ImportError):
    build = {}
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": platform.python_version().rstrip("+"),
    "minor": "%d.%d" % sys.version_info[:2],
    "built": platform.python_build()[1],
    "identity": sys.version,
    "prefix": sys.base_prefix,
    "build_prefix": build.get("prefix", ""),
    "schemes": sysconfig.get_scheme_names(),
    "platform": sysconfig.get_platform(),
    "platlibdir": getattr(sys, "platlibdir", "lib"),
    "abiflags": sys.abiflags,
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that runs, is whole, and keeps its files where CPython's own build puts them.

    Attributes:
        executable: `bin/python3.N` of the installation itself, never of a virtual environment.
        prefix: `sys.base_prefix`, resolved.
        version: as in `3.11.7`.
        minor: as in `3.11`.
        built_at: when it was compiled, as `platform.python_build()` says, taken for UTC.
        platform: `sysconfig.get_platform()`, as in `linux-x86_64`.
        identity: `sys.version`; two installations of one build have the same.
        spellings: the paths that stand for the prefix in its files, longest first.
    """

    executable: Path
    prefix: Path
    version: str
    minor: str
    built_at: datetime
    platform: str
    identity: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """A Python that was looked at and is of no use here.

    Attributes:
        executable: what was run.
        reason: why nothing can be made of it, as the end of a sentence about it.
    """

    executable: Path
    reason: str


_PROBED: dict[tuple[Path, int, int], Mapping[str, Any]] = {}


def list_interpreters(
    *, environ: Mapping[str, str] | None = None, for_venv: bool = False
) -> tuple[tuple[Interpreter, ...], tuple[Refused, ...]]:
    """Return the interpreters of this machine, newest version first, and the refused ones.

    Looked at: `python3` and `python3.N` in the directories of PATH, of pyenv's and uv's
    installations, in `/opt/python*/bin` and `/usr/local/bin`, and this process's own base.

    Args:
        environ: the environment to take PATH, HOME, PYENV_ROOT and UV_PYTHON_INSTALL_DIR from;
            None means this process's own.
        for_venv: whether a venv is to be made of them, for which more are of use.
    """
    candidates = _candidates(os.environ if environ is None else environ)
    with ThreadPoolExecutor(_THREADS) as pool:
        probed = list(pool.map(lambda each: _probe(each, for_venv=for_venv), candidates))
    found = {each.prefix: each for each in probed if isinstance(each, Interpreter)}
    usable = sorted(found.values(), key=lambda each: str(each.prefix))
    usable.sort(key=lambda each: Version(each.version), reverse=True)
    refused = sorted(
        {each for each in probed if isinstance(each, Refused)}, key=lambda each: each.executable
    )
    return tuple(usable), tuple(refused)


def find_interpreter(minor: str, *, environ: Mapping[str, str] | None = None) -> Interpreter:
    """Return the interpreter of this machine with the highest patch release of `minor`.

    Raises:
        ToolError: there is none; the problem lists what was looked at and refused.
    """
    usable, refused = list_interpreters(environ=environ)
    for interpreter in usable:
        if interpreter.minor == minor:
            return interpreter
    looked_at = [f"{each.executable} is {each.version}" for each in usable]
    looked_at += [f"{each.executable} {each.reason}" for each in refused]
    raise ToolError(
        f"There is no Python {minor} on this machine that a conda package can be made of."
        + "".join(f"\n  {each}" for each in looked_at),
        f"Install CPython {minor} with `pyenv install {minor}`, with `uv python install {minor}`,"
        " or from python.org's sources.",
    )


def find_for_venv(minor: str, named: Sequence[Path] = ()) -> Interpreter:
    """Return the interpreter that a venv of `minor` is made of: of the named ones, else the newest.

    Raises:
        PolicyError: a named one is not there, or is of no use.
        ToolError: there is none; the problem lists what was looked at.
    """
    for interpreter in for_venvs(named):
        if interpreter.minor == minor:
            return interpreter
    usable, refused = list_interpreters(for_venv=True)
    looked_at = [f"{each.executable} is {each.version}" for each in usable]
    looked_at += [f"{each.executable} {each.reason}" for each in refused]
    raise ToolError(
        f"There is no Python {minor} on this machine that a venv can be made of. Looked at were "
        "`interpreters` of the policy, PATH, and what pyenv and uv have installed:"
        + "".join(f"\n  {each}" for each in looked_at or ["nothing is there"]),
        f"Get one: uv python install {minor}, or pyenv install {minor}; or name its path: "
        f'interpreters = ["/path/to/python{minor}"].',
    )


def for_venvs(named: Sequence[Path] = ()) -> tuple[Interpreter, ...]:
    """Return the interpreters that a venv can be made of: the named ones, then the newest first.

    Raises:
        PolicyError: a named one is not there, or is of no use.
    """
    first = []
    for path in named:
        probed = (
            _probe(path.resolve(), for_venv=True)
            if path.is_file()
            else Refused(path, "does not exist")
        )
        if isinstance(probed, Refused):
            raise PolicyError(
                f"interpreters: {path} {probed.reason}.",
                "Name an interpreter of CPython, or leave the key out: those of PATH, pyenv and uv "
                "are found.",
            )
        first.append(probed)
    return (*first, *list_interpreters(for_venv=True)[0])


def copying_fault(executable: Path) -> str:
    """Return why an interpreter cannot live at another place, or "" where a copy of it can."""
    probed = _probe(executable, for_venv=False)
    return probed.reason if isinstance(probed, Refused) else ""


def _candidates(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the executables to look at: files, each once, symbolic links resolved."""
    seen: dict[Path, None] = {}
    for directory in _directories(environ):
        try:
            files = sorted(each for each in directory.iterdir() if _NAME.fullmatch(each.name))
        except OSError:
            continue
        for file in files:
            target = file.resolve()
            if target.is_file() and os.access(target, os.X_OK):
                seen[target] = None
    return tuple(seen)


def _directories(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local/share")
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    yield Path(sys.base_prefix) / "bin"
    for entry in environ.get("PATH", "").split(os.pathsep):
        # pyenv's shims are slow scripts in front of the installations that are listed below.
        if entry and Path(entry) != pyenv / "shims":
            yield Path(entry)
    yield from sorted((pyenv / "versions").glob("*/bin"))
    yield from sorted(uv.glob("*/bin"))
    yield from sorted(Path("/opt").glob("python*/bin"))
    yield Path("/usr/local/bin")


def _probe(executable: Path, *, for_venv: bool) -> Interpreter | Refused:
    """Return what an executable is; one that runs is asked once, until it is replaced."""
    state = executable.stat()
    key = (executable, state.st_mtime_ns, state.st_ino)
    if key not in _PROBED:
        facts = _facts(executable)
        if isinstance(facts, Refused):
            return facts
        _PROBED[key] = facts
    facts = _PROBED[key]
    reason = ("" if for_venv else _refusal_of_conda(facts)) or _refusal(facts)
    return Refused(executable, reason) if reason else _interpreter(facts)


def _facts(executable: Path) -> Mapping[str, Any] | Refused:
    """Return what an executable says of itself."""
    try:
        completed = run([str(executable), "-I", "-S", "-c", _PROBE], limit=_LIMIT)
    except EltEnvError as error:
        return Refused(executable, f"does not run: {error.problem}")
    try:
        facts = json.loads(completed.stdout) if completed.returncode == 0 else None
    except json.JSONDecodeError:
        facts = None
    if isinstance(facts, dict):
        return facts
    last = (completed.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return Refused(executable, f"does not run: {last}")


def _refusal(facts: Mapping[str, Any]) -> str:
    """Return why an interpreter is of no use at all, or "" where it is of some."""
    prefix, minor = Path(facts["prefix"]), facts["minor"]
    parts = (f"bin/python{minor}", f"{facts['platlibdir']}/python{minor}/os.py")
    missing = [part for part in parts if not (prefix / part).is_file()]
    reasons = {
        f"is {facts['implementation']}, not CPython": facts["implementation"] != "cpython",
        f"is Python {facts['version']}, which is too old": _number(minor) < _OLDEST,
        "is part of a conda environment": (prefix / "conda-meta").is_dir(),
        f"is a special build ({facts['abiflags']})": facts["abiflags"],
        f"has no {' and no '.join(missing)} under its prefix {prefix}": missing,
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _refusal_of_conda(facts: Mapping[str, Any]) -> str:
    """Return why no conda package can be made of an interpreter, or "" where one can."""
    prefix = Path(facts["prefix"])
    reasons = {
        "is Debian's, which is patched to use dist-packages": _DEBIAN & set(facts["schemes"]),
        "belongs to the operating system, which spreads it over /usr": prefix == Path("/usr"),
        f"keeps its modules in {facts['platlibdir']}, not in lib": facts["platlibdir"] != "lib",
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _number(minor: str) -> tuple[int, ...]:
    return tuple(map(int, minor.split(".")))


def _interpreter(facts: Mapping[str, Any]) -> Interpreter:
    prefix = Path(facts["prefix"]).resolve()
    spellings = {facts["prefix"], str(prefix), facts["build_prefix"]}
    return Interpreter(
        executable=prefix / "bin" / f"python{facts['minor']}",
        prefix=prefix,
        version=facts["version"],
        minor=facts["minor"],
        built_at=_built_at(facts["built"]),
        platform=facts["platform"],
        identity=facts["identity"],
        spellings=tuple(
            sorted((each for each in spellings if len(each) > 1), key=len, reverse=True)
        ),
    )


def _built_at(text: str) -> datetime:
    """Return the moment that C's `__DATE__ __TIME__` name; a fixed one where they are hidden."""
    try:
        return datetime.strptime(text, "%b %d %Y %H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return _UNDATED
