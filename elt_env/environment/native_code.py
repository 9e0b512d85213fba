"""The native code of a prefix, and what the dynamic loader would make of it: ld.so(8)."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from elt_env.environment.elf import Elf, is_elf, read_elf
from elt_env.environment.prefix import Prefix
from elt_env.machine.system_libraries import SystemLibraries

_Directories = tuple[Path, ...]


@dataclass(frozen=True)
class NativeCode:
    """The programs and shared libraries of a prefix.

    Attributes:
        files: what each says of itself, sorted by path.
        damaged: those that cannot be read, with the reason.
    """

    files: tuple[Elf, ...]
    damaged: Mapping[Path, str]


@dataclass
class LoadReport:
    """What happens when everything is loaded.

    Attributes:
        missing: (file, library that it needs and that is nowhere).
        refused: (file, the library that was found, the symbol version that this one lacks).
        found: (library that something needs, the file that is loaded for it).
    """

    missing: set[tuple[Path, str]] = field(default_factory=set)
    refused: set[tuple[Path, Path, str]] = field(default_factory=set)
    found: set[tuple[str, Path]] = field(default_factory=set)


def native_code(prefix: Prefix, *others: Path) -> NativeCode:
    """Return every program and shared library in a prefix and in other directories, each once."""
    files: dict[Path, Elf] = {}
    damaged: dict[Path, str] = {}
    for path in sorted(each for root in (prefix.path, *others) for each in _candidates(root)):
        try:
            elf = read_elf(path)
        except ValueError as error:
            damaged[path] = str(error)
        else:
            files[elf.path] = elf
    return NativeCode(tuple(files.values()), damaged)


def _candidates(root: Path) -> Iterator[Path]:
    """Yield the files that the loader may meet: libraries by their names, programs by their place.

    A library with nothing in it is one: that is how an interrupted copy looks.
    """
    for directory, _, names in os.walk(root):
        place = Path(directory)
        for name in names:
            path = place / name
            if path.is_symlink():
                continue
            by_name = is_library(name)
            is_empty = by_name and path.stat().st_size == 0
            if is_empty or ((by_name or os.access(path, os.X_OK)) and is_elf(path)):
                yield path


def is_library(name: str) -> bool:
    """Tell whether a file is a shared library by its name, as in `libz.so.1`."""
    return name.endswith(".so") or ".so." in name


def load_all(code: NativeCode, prefix: Prefix, system: SystemLibraries) -> LoadReport:
    """Return what happens when each file is loaded on its own.

    Programs start alone; a shared library is loaded into the prefix's interpreter, beside what
    that needs itself. A library that others need is loaded by these: it may lean on where they
    look, and on what they loaded before (wheels' bundled libraries do, PEP 513 and auditwheel).
    """
    loader = _Loader({each.path: each for each in code.files}, system)
    outcome = LoadReport()
    interpreter = loader.read(prefix.python)
    beside = loader.load(interpreter, {}, (), outcome) if interpreter else {}
    main = _expanded(interpreter.rpath, interpreter) if interpreter else ()
    wanted = {name for each in code.files for name in each.needed}
    last = [each for each in code.files if wanted & {each.soname, each.path.name}]
    for each in [*(each for each in code.files if each not in last), *last]:
        if each.path in loader.visited:
            continue
        if each.path.parent == prefix.path / "bin":
            loader.load(each, {}, (), outcome)
        else:
            loader.load(each, beside, main, outcome)
    return outcome


def load_each(files: Iterable[Elf], system: SystemLibraries) -> LoadReport:
    """Return what happens when each file is loaded on its own, as a program is."""
    loader = _Loader({}, system)
    outcome = LoadReport()
    for each in files:
        loader.load(each, {}, (), outcome)
    return outcome


class _Loader:
    """Finds libraries as the dynamic loader does."""

    def __init__(self, known: dict[Path, Elf], system: SystemLibraries) -> None:
        self._known: dict[Path, Elf | None] = dict(known)
        self._system = system
        self.visited: set[Path] = set()

    def load(
        self, root: Elf, beside: Mapping[str, Elf], main: _Directories, outcome: LoadReport
    ) -> dict[str, Elf]:
        """Load a file and, breadth first, all it needs; return what is loaded then, by name.

        Args:
            root: the file.
            beside: what is loaded already, by name.
            main: the RPATH of the program.
            outcome: what is missing or refused is added to it.
        """
        loaded = {**beside, root.soname: root}
        fresh = [root]
        queue: deque[tuple[Elf, _Directories]] = deque([(root, main)])
        while queue:
            elf, inherited = queue.popleft()
            own = (*_expanded(elf.rpath, elf), *inherited)
            for name in elf.needed:
                if name in loaded:
                    continue
                found = self._find(name, elf, _expanded(elf.runpath, elf) or own)
                if found is None:
                    outcome.missing.add((elf.path, name))
                    continue
                loaded[name] = loaded[found.soname] = found
                outcome.found.add((name, found.path))
                fresh.append(found)
                queue.append((found, own))
        self.visited.update(each.path for each in fresh)
        outcome.refused.update(_refused(fresh, loaded))
        return loaded

    def _find(self, name: str, elf: Elf, directories: _Directories) -> Elf | None:
        if "/" in name:
            places: Iterable[Path] = _expanded((name,), elf)
        else:
            places = (*(each / name for each in directories), *self._system.find(name))
        for place in places:
            found = self.read(place)
            # The loader passes by what is made for another machine.
            if found is not None and found.shape == elf.shape:
                return found
        return None

    def read(self, path: Path) -> Elf | None:
        """Return the file that the loader gets at `path`; None when it gets none."""
        real = Path(os.path.realpath(path))
        if real not in self._known:
            self._known[real] = _read_if_there(real)
        return self._known[real]


def _read_if_there(path: Path) -> Elf | None:
    try:
        return read_elf(path) if is_elf(path) else None
    except ValueError:
        return None


def _expanded(entries: Iterable[str], elf: Elf) -> _Directories:
    """Return search paths with `$ORIGIN` replaced by the directory of the file that has them."""
    origin = str(elf.path.parent)
    texts = (each.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin) for each in entries)
    return tuple(map(Path, texts))


def _refused(fresh: list[Elf], loaded: Mapping[str, Elf]) -> Iterator[tuple[Path, Path, str]]:
    for elf in fresh:
        for library, version in elf.wants:
            found = loaded.get(library)
            # To a library that defines no versions at all, the loader does not object.
            if found is not None and found.offers and version not in found.offers:
                yield elf.path, found.path, version
