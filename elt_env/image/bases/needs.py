"""The system libraries that an environment needs, and the packages that have them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from elt_env.environment.elf import is_elf, read_elf
from elt_env.environment.file_list import kept_list, list_prefix
from elt_env.environment.native_code import is_library, load_all, native_code
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
    for the same native files and interpreter, and again where `anew` says so.

    Raises:
        StorageError: `cache` is not writable.
    """
    of_lock = _place(cache, [prefix.lock.digest, prefix.interpreter_digest])
    known = None if anew else _known(of_lock)
    if known is not None:
        return known
    of_files = _place(cache, [_native_files(prefix), prefix.interpreter_digest])
    packages = None if anew else _known(of_files)
    if packages is None:
        packages = _look_for_needs(prefix)
    for path in (of_files, of_lock):
        write_atomically(path, json.dumps(packages) + "\n")
    return packages


def _place(cache: Path, made_of: Sequence[object]) -> Path:
    return cache / f"needs-{short(digest_of(made_of))}.json"


def _native_files(prefix: Prefix) -> list[list[str]]:
    """Return path and hash of what the dynamic loader may meet, as it was when it was sealed.

    What was written for the prefix has the hash that it has in its package, in every prefix.
    """
    entries = (
        each
        for _, record in prefix.conda_records()
        for each in record.get("paths_data", {}).get("paths", ())
    )
    own = {each["_path"]: each.get("sha256") for each in entries if "prefix_placeholder" in each}
    listed = kept_list(prefix.path) or list_prefix(prefix.path)
    return [
        [path, own.get(path) or what.partition(" ")[2]]
        for path, what in sorted(listed.files.items())
        if is_library(path) or (_is_executable(what) and is_elf(prefix.path / path))
    ]


def _is_executable(listed: str) -> bool:
    mode = listed.partition(" ")[0]
    return mode.isdigit() and int(mode, 8) & 0o111 != 0


def _look_for_needs(prefix: Prefix) -> tuple[str, ...]:
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
    return tuple(each.partition(" ")[0] for each in packages_of(files))


def _modules(library: Path) -> Iterator[Path]:
    """Yield the files of a standard library, but for what is derived from them."""
    return (each for each in library.rglob("*.*") if each.is_file() and not is_cached(str(each)))


def _known(path: Path) -> tuple[str, ...] | None:
    try:
        return tuple(map(str, json.loads(read_stored_text(path))))
    except (OSError, ValueError, TypeError):
        return None
