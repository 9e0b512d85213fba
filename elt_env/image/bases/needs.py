"""The system libraries that an environment needs, and the packages that have them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from elt_env.environment.elf import is_elf, read_elf
from elt_env.environment.native_code import load_all, native_code
from elt_env.environment.prefix import Prefix
from elt_env.image.bases.host_packages import packages_of
from elt_env.machine.system_libraries import SystemLibraries, system_libraries
from elt_env.package.canonical import short
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

_FOR_SOME_PROCESSORS = "glibc-hwcaps"


def needed_of_system(prefix: Prefix, system: SystemLibraries) -> frozenset[str]:
    """Return the names of the libraries that the prefix's files load from outside the prefix."""
    loading = load_all(native_code(prefix), prefix, system)
    root = Path(os.path.realpath(prefix.path))
    return frozenset(name for name, path in loading.found if not path.is_relative_to(root))


def system_places(name: str, system: SystemLibraries, shape: tuple[str, int]) -> list[Path]:
    """Return where the loader finds a library that any processor of this kind can run."""
    places = (each for each in system.find(name) if _FOR_SOME_PROCESSORS not in each.parts)
    return [each for each in places if is_elf(each) and read_elf(each).shape == shape]


def needed_packages(prefix: Prefix, cache: Path, *, anew: bool) -> tuple[str, ...]:
    """Return the names of dpkg's packages that the libraries outside the prefix come from.

    They are looked for once for a lock, and again where `anew` says so.

    Raises:
        StorageError: `cache` is not writable.
    """
    path = cache / f"needs-{short(prefix.lock.digest)}.json"
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
    packages = tuple(each.partition(" ")[0] for each in packages_of(files))
    write_atomically(path, json.dumps(packages) + "\n")
    return packages


def _known(path: Path) -> tuple[str, ...] | None:
    try:
        return tuple(map(str, json.loads(read_stored_text(path))))
    except (OSError, ValueError, TypeError):
        return None
