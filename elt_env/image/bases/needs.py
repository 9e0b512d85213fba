"""The system libraries that an environment needs, and the packages that have them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from elt_env.environment.elf import is_elf, read_elf
from elt_env.environment.native_code import load_all, native_code
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.machine.process import run
from elt_env.machine.system_libraries import SystemLibraries, system_libraries
from elt_env.package.canonical import digest_of, short
from elt_env.python.bytecode import is_cached
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

_FOR_SOME_PROCESSORS = "glibc-hwcaps"
_LIMIT = 30.0
_USR = "/usr"


def packages_of(files: Iterable[Path]) -> tuple[str, ...]:
    """Return name and version of dpkg's packages with those files, sorted; () without dpkg.

    Raises:
        TimeLimitError: dpkg-query does not answer.
    """
    paths = sorted({name for each in files for name in _names(str(each))})
    try:
        owners = run(["dpkg-query", "--search", *paths], limit=_LIMIT).stdout
    except ToolError as error:
        if error.exit_code != ToolError.exit_code:
            raise
        return ()
    # `libc6:amd64, libc6-other: /lib/x86_64-linux-gnu/libc.so.6`
    names = {name for line in owners.splitlines() for name in line.rpartition(": ")[0].split(", ")}
    known = sorted(each for each in names if each and " " not in each)
    if not known:
        return ()
    shown = "--showformat=${Package} ${Version}\n"
    told = run(["dpkg-query", "--show", shown, *known], limit=_LIMIT).stdout
    return tuple(sorted(set(told.splitlines())))


def _names(path: str) -> tuple[str, ...]:
    """Return the names that dpkg may know a file by, on both sides of the merge of /usr."""
    return (path, path.removeprefix(_USR)) if path.startswith(_USR) else (path, _USR + path)


def needed_of_system(prefix: Prefix, system: SystemLibraries) -> frozenset[str]:
    """Return the names of the libraries that the prefix's files load from outside the prefix.

    An interpreter that the prefix is a venv of counts as part of it, but for the system's own.
    """
    own, modules = [prefix.path], []
    if prefix.base and not prefix.base.of_system:
        own.append(prefix.base.prefix)
        modules.append(prefix.base.library / "lib-dynload")
    loading = load_all(native_code(prefix, *modules), prefix, system)
    roots = [Path(os.path.realpath(each)) for each in own]
    return frozenset(
        name for name, path in loading.found if not any(map(path.is_relative_to, roots))
    )


def system_places(name: str, system: SystemLibraries, shape: tuple[str, int]) -> list[Path]:
    """Return where the loader finds a library that any processor of this kind can run."""
    places = (each for each in system.find(name) if _FOR_SOME_PROCESSORS not in each.parts)
    return [each for each in places if is_elf(each) and read_elf(each).shape == shape]


def needed_packages(prefix: Prefix, cache: Path, *, anew: bool) -> tuple[str, ...]:
    """Return the names of dpkg's packages that what is needed outside the prefix comes from.

    That are libraries, and the interpreter of a venv of the system's own. They are looked for once
    for a lock and its interpreter, and again where `anew` says so.

    Raises:
        StorageError: `cache` is not writable.
    """
    made_of = digest_of([prefix.lock.digest, prefix.interpreter_digest])
    path = cache / f"needs-{short(made_of)}.json"
    known = None if anew else _known(path)
    if known is not None:
        return known
    system = system_libraries()
    shape = read_elf(prefix.python).shape
    names = needed_of_system(prefix, system)
    files = [
        Path(os.path.realpath(each))
        for name in names
        for each in system_places(name, system, shape)
    ]
    if prefix.base and prefix.base.of_system:
        files += [prefix.base.executable, *_modules(prefix.base.library)]
    packages = tuple(each.partition(" ")[0] for each in packages_of(files))
    write_atomically(path, json.dumps(packages) + "\n")
    return packages


def _modules(library: Path) -> Iterator[Path]:
    """Yield the files of a standard library, but for what is derived from them."""
    return (each for each in library.rglob("*.*") if each.is_file() and not is_cached(str(each)))


def _known(path: Path) -> tuple[str, ...] | None:
    try:
        return tuple(map(str, json.loads(read_stored_text(path))))
    except (OSError, ValueError, TypeError):
        return None
