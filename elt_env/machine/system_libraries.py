"""The shared libraries that the machine itself offers to a program."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.machine.process import clean_environment, run

_LIMIT = 20.0
# `libz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1`
_ENTRY = re.compile(r"^\s+(?P<name>\S+) \([^)]*\) => (?P<path>/.*)$", re.MULTILINE)
# ld.so(8): searched after its cache, wherever that is.
_DEFAULT = tuple(map(Path, ("/lib64", "/usr/lib64", "/lib", "/usr/lib")))


@dataclass(frozen=True)
class SystemLibraries:
    """What the loader finds without being told where to look: ld.so(8).

    Attributes:
        cached: by name, the files of that name in the loader's cache, the preferred one first.
    """

    cached: Mapping[str, tuple[Path, ...]]

    def find(self, name: str) -> tuple[Path, ...]:
        """Return the files that the loader would try for that name, in its order."""
        default = (directory / name for directory in _DEFAULT)
        return (*self.cached.get(name, ()), *(each for each in default if each.is_file()))

    def has(self, path: str) -> bool:
        """Whether a file is what the loader finds under its name, or lies beside such files."""
        real = os.path.realpath(path)
        mine = [*self.cached.get(Path(path).name, ()), *(d / Path(path).name for d in _DEFAULT)]
        if any(os.path.realpath(each) == real for each in mine):
            return True
        return Path(real).parent in self._directories

    @property
    def _directories(self) -> set[Path]:
        cached = {path.parent for paths in self.cached.values() for path in paths}
        return {Path(os.path.realpath(each)) for each in (*_DEFAULT, *cached)}


def system_libraries() -> SystemLibraries:
    """Return the libraries of this machine; those of the default directories where it has no cache.

    Raises:
        TimeLimitError: ldconfig does not answer.
    """
    env = clean_environment()
    try:
        text = run(["ldconfig", "-p"], limit=_LIMIT, env=env).stdout
    except ToolError as error:
        if error.exit_code != ToolError.exit_code:
            raise
        text = ""  # there is no ldconfig, so there is no cache
    found: dict[str, list[Path]] = {}
    for entry in _ENTRY.finditer(text):
        found.setdefault(entry["name"], []).append(Path(entry["path"]))
    return SystemLibraries({name: tuple(paths) for name, paths in found.items()})
