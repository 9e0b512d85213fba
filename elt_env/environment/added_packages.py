"""The files that pip installed into a prefix besides those that were in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from elt_env.environment.file_list import Listed, directories_of, paths_below, read_once
from elt_env.environment.installed_files import as_recorded, recorded_sha256
from elt_env.environment.kept_files import ACTIVATED, UnfitError
from elt_env.environment.prefix import Distribution, Prefix
from elt_env.environment.sealed_note import Groups
from elt_env.lockfile.document import Package
from elt_env.python.bytecode import is_cached, parse_bytecode

_NOT_PIPS = (ACTIVATED, "conda-meta/")


@dataclass(frozen=True)
class Added:
    """What came of packages; see `SealedFiles`.

    Attributes:
        groups: their modules, by level of optimization, those of a package together.
    """

    files: Listed
    stats: dict[str, str]
    directories: Listed
    groups: Groups


def added_packages(
    prefix: Prefix,
    packages: Iterable[Package],
    before: Collection[str],
    compile_: Callable[[Groups], None],
) -> Added:
    """Return what packages have brought, each file as its RECORD has it, and compiled.

    Args:
        prefix: where they were installed.
        packages: of pip's.
        before: the files that were there before.
        compile_: compiles modules.

    Raises:
        UnfitError: a file is as nobody recorded it, or of two packages, or not of pip's to bring.
    """
    names = {each.name for each in packages}
    rows = [_rows(each, prefix) for each in prefix.distributions() if each.name in names]
    stated = {path: what for each in rows for path, what in each.items()}
    groups = {0: [found for each in rows if (found := _modules(each, prefix))]}
    compile_(groups)
    paths = paths_below(prefix.path)
    new = {each for each in paths if not each.endswith("/")} - set(before)
    _require_recorded(new, stated, sum(map(len, rows)))
    root = os.fspath(prefix.path)
    files, stats = {}, {}
    for each in sorted(new):
        files[each], stats[each], attributes = read_once(f"{root}/{each}")
        if attributes or (each in stated and not _is_stated(files[each], stated[each])):
            raise UnfitError(f"{each} is not as its package recorded it")
    return Added(files, stats, directories_of(root, paths), groups)


def _rows(distribution: Distribution, prefix: Prefix) -> dict[str, str]:
    """Return by path below the prefix the hash that is recorded, but for bytecode."""
    site = prefix.site_packages.relative_to(prefix.path)
    return {
        os.path.normpath(site / path): stated
        for path, stated, _ in distribution.rows
        if not is_cached(path)
    }


def _modules(paths: Iterable[str], prefix: Prefix) -> list[str]:
    """Return what is compiled of a distribution's files; see `compile_prefix`."""
    places = [PurePosixPath("bin"), prefix.library.relative_to(prefix.path)]
    places.append(prefix.site_packages.relative_to(prefix.path))
    return sorted(
        each
        for each in paths
        if each.endswith(".py") and any(map(PurePosixPath(each).is_relative_to, places))
    )


def _require_recorded(new: Collection[str], stated: Collection[str], recorded: int) -> None:
    """Return when each new file is of exactly one package that may bring it."""
    sources = {each: parse_bytecode(each) for each in new if is_cached(each)}
    strange = {each for each, of in sources.items() if of is None or of.source not in stated}
    strange |= new - sources.keys() ^ set(stated)
    strange |= {each for each in new if each.startswith(_NOT_PIPS)}
    if strange or recorded != len(stated):
        raise UnfitError(f"{min(strange, default='a file')} is not of one new package alone")


def _is_stated(what: str, stated: str) -> bool:
    """Tell whether a file is what a RECORD states; it states nothing of itself."""
    return not stated or recorded_sha256(stated) == as_recorded(what.partition(" ")[2])
