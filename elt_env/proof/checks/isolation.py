"""The check that nothing outside the prefix takes part, whoever calls."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elt_env import probes
from elt_env.environment.launchers import programs
from elt_env.environment.modules import OUT_OF_PATIENCE, PATIENCE, modules_by_distribution
from elt_env.environment.prefix import Prefix
from elt_env.environment.startup_files import foreign_pth_lines, foreign_shebangs
from elt_env.lockfile.document import owned_distributions
from elt_env.machine.environment_variables import prefix_environment, user_environment
from elt_env.machine.process import Say, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.machine.system_libraries import SystemLibraries, system_libraries
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge

# Of the standard library, what loads shared libraries or has a namesake among the caller's modules.
_STANDARD = ("ssl", "sqlite3", "ctypes", "zlib", "bz2", "lzma", "hashlib", "secrets")
_LEADING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "LD_")
_OWN = frozenset({"HOME", "PWD", "PATH"})  # a person's, wherever they lead; PATH is searched
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
        putters: of what imports added to it, the module whose import did that first.
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
    putters: Mapping[str, str] = field(default_factory=dict)


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


def isolation(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """The tools use nothing but the prefix and the system's libraries, whatever the caller's setup.

    So it is with the tools that are started here, and with what `elt-env run` and `elt-env shell`
    start. Shown with a caller that has PYTHONPATH, PYTHONHOME, LD_LIBRARY_PATH, a user site,
    another environment, what its activation hooks set, and programs of the same names first on
    PATH. Besides, no `.pth` file leads out of the prefix, and its scripts are run by its own
    interpreter. Variables by which the spec itself leads Python or the loader elsewhere are left
    out here, and are a warning.
    """
    names = [each.name for each in programs(prefix.path)]
    modules = [*_STANDARD, *_requested_modules(prefix)]
    limit = tools.project.policy.tool_limit.total_seconds()
    with hostile_caller(prefix, names) as caller:
        asked = [name for name, _ in prefix.lock.variables if name.startswith(_LEADING)]
        tool = _without(asked, tool_variables(prefix, caller))
        seen = look_around(prefix, modules, caller, tool, limit)
        faults = _faults(seen, prefix, caller, names)
        person = _without(asked, person_variables(prefix, caller))
        persons = look_around(prefix, _STANDARD, caller, person, limit)
        theirs = _faults(persons, prefix, caller, names)
        faults += [f"with elt-env run, {each}" for each in theirs]
    faults += [*foreign_pth_lines(prefix), *foreign_shebangs(prefix)]
    for each in faults:
        say(f"isolation: {each}")
    notes = [f"the spec sets {each}, which may lead out of the prefix" for each in asked]
    passed = f"{len(seen.modules)} modules and {len(seen.mapped)} shared objects, none foreign"
    return judge(faults, passed, notes=notes, log="\n".join((*seen.modules, *seen.mapped)))


def _without(names: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in names}


def _faults(seen: Surroundings, prefix: Prefix, caller: Caller, names: Sequence[str]) -> list[str]:
    if seen.fault:
        return [f"under a hostile caller, the interpreter does not start: {seen.fault}"]
    return [
        *_started_elsewhere(seen, prefix, caller),
        *_used_from_elsewhere(seen, prefix, system_libraries()),
        *_found_elsewhere(seen, prefix, names),
    ]


def _requested_modules(prefix: Prefix) -> list[str]:
    """Return the modules of what a person asked for."""
    conda = tuple(each for each in prefix.lock.conda if each.requested)
    asked = {*owned_distributions(conda), *(p.name for p in prefix.lock.pip if p.requested)}
    found = modules_by_distribution(prefix)
    return [module for name in sorted(asked) for module in found.get(name, ())]


def _started_elsewhere(seen: Surroundings, prefix: Prefix, caller: Caller) -> Iterator[str]:
    own = _Own.of(prefix)
    for name in ("executable", "prefix", "base_prefix"):
        place = getattr(seen, name)
        if not own.has(place) and not (name == "base_prefix" and place == own.base):
            yield f"sys.{name} is {place}, not in the prefix"
    for place in seen.path:
        if not own.has(place):
            putter = seen.putters.get(place)
            by = f": the import of {putter} puts it there" if putter else ""
            yield f"sys.path has {place}, which is outside the prefix{by}"
    if seen.user_site:
        yield "the user's site-packages is on: PYTHONNOUSERSITE is not set"
    for name, value in sorted((seen.variables or {}).items()):
        if str(caller.place) in value and name not in _OWN:
            yield f"the caller's {name} reached the tool"


def _used_from_elsewhere(
    seen: Surroundings, prefix: Prefix, system: SystemLibraries
) -> Iterator[str]:
    own = _Own.of(prefix)
    for file in seen.modules:
        if not own.has(file) and not _is_probe(file):
            yield f"a module was imported from {file}, which is outside the prefix"
    for file in seen.mapped:
        if not own.has(file) and not system.has(file):
            yield f"the shared object {file} is neither the prefix's nor the system's"


def _is_probe(file: str) -> bool:
    return Path(file).name == "surroundings.py"


def _found_elsewhere(seen: Surroundings, prefix: Prefix, names: Sequence[str]) -> Iterator[str]:
    bin_ = prefix.path / "bin"
    for name in names:
        found = shutil.which(name, path=(seen.variables or {}).get("PATH", ""))
        if found is not None and Path(found).parent != bin_:
            yield f"'{name}' is found at {found} on PATH, before the prefix's own"


@dataclass(frozen=True)
class _Own:
    """The places that a prefix may take its things from.

    Attributes:
        root: the prefix.
        library: the standard library of what it is a venv of, but for what is installed there.
        files: the program and the library of that interpreter.
        base: `sys.base_prefix` of a venv, or "".
    """

    root: Path
    library: Path | None = None
    files: tuple[Path, ...] = ()
    base: str = ""

    @classmethod
    def of(cls, prefix: Prefix) -> _Own:
        root, base = Path(os.path.realpath(prefix.path)), prefix.base
        if base is None:
            return cls(root)
        home = base.executable.parent.parent
        zipped = home / "lib" / f"python{prefix.lock.target.python.replace('.', '')}.zip"
        files = (base.executable, zipped, *base.libraries)
        return cls(root, base.library, tuple(map(Path.resolve, files)), str(home))

    def has(self, place: str) -> bool:
        """Tell whether a file or directory is one of the prefix, or of what it is a venv of."""
        found = Path(os.path.realpath(place))
        if found.is_relative_to(self.root) or found in self.files:
            return True
        # Debian's library has links to /etc, which are its own as well.
        named = Path(os.path.normpath(place))
        if self.library is None or not any(
            each.is_relative_to(self.library) for each in (found, named)
        ):
            return False
        return not {"site-packages", "dist-packages"} & {*found.parts}
