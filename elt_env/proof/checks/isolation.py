"""The check that nothing outside the prefix takes part, whoever calls."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from elt_env.environment.launchers import programs
from elt_env.environment.modules import modules_by_distribution
from elt_env.environment.prefix import Prefix
from elt_env.environment.startup_files import foreign_pth_lines, foreign_shebangs
from elt_env.environment.surroundings import (
    Caller,
    Surroundings,
    hostile_caller,
    look_around,
    person_variables,
    tool_variables,
)
from elt_env.lockfile.document import owned_distributions
from elt_env.machine.process import Say
from elt_env.machine.system_libraries import SystemLibraries, system_libraries
from elt_env.proof.checks.finding import Finding, judge
from elt_env.toolbox import Toolbox

# Of the standard library, what loads shared libraries or has a namesake among the caller's modules.
_STANDARD = ("ssl", "sqlite3", "ctypes", "zlib", "bz2", "lzma", "hashlib", "secrets")
_LEADING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "LD_")
_OWN = frozenset({"HOME", "PWD", "PATH"})  # a person's, wherever they lead; PATH is searched


def isolation(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
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
    limit = toolbox.policy.tool_limit.total_seconds()
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
    root = os.path.realpath(prefix.path)
    for name in ("executable", "prefix", "base_prefix"):
        place = getattr(seen, name)
        if not _is_below(place, root):
            yield f"sys.{name} is {place}, not in the prefix"
    for place in seen.path:
        if not _is_below(place, root):
            yield f"sys.path has {place}, which is outside the prefix"
    if seen.user_site:
        yield "the user's site-packages is on: PYTHONNOUSERSITE is not set"
    for name, value in sorted((seen.variables or {}).items()):
        if str(caller.place) in value and name not in _OWN:
            yield f"the caller's {name} reached the tool"


def _used_from_elsewhere(
    seen: Surroundings, prefix: Prefix, system: SystemLibraries
) -> Iterator[str]:
    root = os.path.realpath(prefix.path)
    for file in seen.modules:
        if not _is_below(file, root) and not _is_probe(file):
            yield f"a module was imported from {file}, which is outside the prefix"
    for file in seen.mapped:
        if not _is_below(file, root) and not system.has(file):
            yield f"the shared object {file} is neither the prefix's nor the system's"


def _is_probe(file: str) -> bool:
    return Path(file).name == "surroundings.py"


def _found_elsewhere(seen: Surroundings, prefix: Prefix, names: Sequence[str]) -> Iterator[str]:
    bin_ = prefix.path / "bin"
    for name in names:
        found = shutil.which(name, path=(seen.variables or {}).get("PATH", ""))
        if found is not None and Path(found).parent != bin_:
            yield f"'{name}' is found at {found} on PATH, before the prefix's own"


def _is_below(place: str, root: str) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(root)
