"""The files of a prefix that go into an image, and their owners.

What a package recorded goes in, its compiled modules, and conda's record of it; what a tool wrote
into the prefix later does not. What each file was when the prefix was sealed, its list tells.
"""

from __future__ import annotations

import csv
import io
import os
import posixpath
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from elt_env.environment.conda_meta import FROZEN, HISTORY
from elt_env.environment.file_list import (
    SealedFiles,
    described,
    kept_list,
    list_prefix,
    stats_of,
)
from elt_env.environment.prefix import Distribution, Prefix
from elt_env.errors import IntegrityError
from elt_env.image.layering import Owner
from elt_env.package.names import normalize
from elt_env.python.bytecode import is_cached, parse_bytecode
from elt_env.runtime.input_files import read_stored

_STDLIB_MARK = "EXTERNALLY-MANAGED"
_SMALL = 1 << 16
_PYTHON = Owner("conda", "python")


@dataclass
class PackageFiles:
    """The files of one package.

    Attributes:
        names: paths below the prefix, with `/`.
        sealed: by path what each of them was, and its stats, as in `SealedFiles`.
        record: the path of the list that the package manager keeps: RECORD, or conda-meta's.
        lost: paths that another package recorded as well and that go with that one.
        placed: paths of files that were written for the prefix; compiled, they would be others.
        size: bytes of its files; none are counted for what is small and may hold the prefix.
    """

    owner: Owner
    record: str
    names: list[str] = field(default_factory=list)
    sealed: dict[str, tuple[str, str]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    placed: frozenset[str] = frozenset()
    size: int = 0


def image_files(prefix: Prefix) -> dict[Owner, PackageFiles]:
    """Return the files of every package of a sealed prefix.

    A file that several of pip's distributions recorded goes with the one that sorts first.

    Raises:
        IntegrityError: a recorded file is not there.
    """
    found: dict[Owner, PackageFiles] = {}
    taken: set[str] = set()
    listed = kept_list(prefix.path) or list_prefix(prefix.path)
    for package in [*_of_conda(prefix), *_of_pip(prefix)]:
        found[package.owner] = package
        mine = sorted(set(package.names))
        package.lost = [each for each in mine if each in taken]
        package.names = [each for each in mine if each not in taken]
        taken.update(package.names)
    for package in found.values():
        sources = [each for each in package.names if each not in package.placed]
        package.names += sorted(_compiled(prefix, sources, listed.files) - taken)
        package.sealed = {each: _sealed(each, listed, prefix) for each in package.names}
        package.size = sum(_counted(name, stats) for name, (_, stats) in package.sealed.items())
    if (prefix.path / HISTORY).is_file():
        _add_history(_sealed(HISTORY, listed, prefix), found)
    return found


def _add_history(sealed: tuple[str, str], found: dict[Owner, PackageFiles]) -> None:
    """Let what conda keeps of all its packages go with the smallest of them.

    It changes with each of them, and would take a large one along: Python's layer changes least.
    """
    conda = [each for each in found.values() if each.owner.manager == "conda"]
    least = min(conda, key=lambda each: (each.owner == _PYTHON, each.size, each.owner))
    least.names.append(HISTORY)
    least.sealed[HISTORY] = sealed


def gone(path: str) -> IntegrityError:
    """Return the error for a file that a package recorded and that cannot be read whole."""
    return IntegrityError(
        f"{path} is gone, or changed while it was read.",
        "Remove the prefix, build it again, and then the image.",
    )


def _sealed(name: str, listed: SealedFiles, prefix: Prefix) -> tuple[str, str]:
    """Return what a file was when it was sealed; what it is where a link leads to it."""
    if name in listed.files:
        return listed.files[name], listed.stats[name]
    path = f"{prefix.path}/{name}"
    try:
        found = os.lstat(path)
        return described(path, found), stats_of(found)
    except FileNotFoundError as error:
        raise gone(path) from error


def _counted(name: str, stats: str) -> int:
    size = int(stats.partition(" ")[0])
    return 0 if size < _SMALL and name.startswith(("bin/", "conda-meta/")) else size


def _of_conda(prefix: Prefix) -> Iterator[PackageFiles]:
    for path, content in prefix.conda_records():
        owner = Owner("conda", content["name"])
        record = f"conda-meta/{path.name}"
        entries = content.get("paths_data", {}).get("paths", ())
        placed = frozenset(each["_path"] for each in entries if "prefix_placeholder" in each)
        names = [each for each in content.get("files", ()) if not _is_of(each, placed)] + [record]
        if owner == _PYTHON:
            library = prefix.library.relative_to(prefix.path).as_posix()
            own = (f"{library}/{_STDLIB_MARK}", FROZEN)
            names += [each for each in own if (prefix.path / each).is_file()]
        yield PackageFiles(owner, record, names, placed=placed)


def _is_of(path: str, placed: frozenset[str]) -> bool:
    """Tell whether a file is bytecode of a source that was written for the prefix, or is itself."""
    bytecode = parse_bytecode(path)
    return bytecode is not None and (bytecode.source in placed or path in placed)


def _of_pip(prefix: Prefix) -> Iterator[PackageFiles]:
    locked = {each.name for each in prefix.lock.pip}
    mine = [each for each in prefix.distributions() if each.name in locked]
    for each in sorted(mine, key=lambda one: one.name):
        record = each.info / "RECORD"
        place = record.relative_to(prefix.path).as_posix()
        yield PackageFiles(Owner("pip", normalize(each.name)), place, _recorded(prefix, each))


def _recorded(prefix: Prefix, distribution: Distribution) -> list[str]:
    site = prefix.site_packages.relative_to(prefix.path).as_posix()
    record = read_stored(distribution.info / "RECORD").decode()
    paths = [row[0] for row in csv.reader(io.StringIO(record, newline="")) if row]
    return [_placed(site, each) for each in paths if not is_cached(each)]


def _placed(site: str, path: str) -> str:
    plain = not path.startswith(("/", "..", "./"))
    return f"{site}/{path}" if plain else posixpath.normpath(posixpath.join(site, path))


def _compiled(prefix: Prefix, names: list[str], there: Container[str]) -> set[str]:
    """Return the compiled modules that are there for those of `names` that are modules."""
    ending = f".{prefix.bytecode_tag}.pyc"
    modules = (each for each in names if each.endswith(".py") and not each.startswith("bin/"))
    places = (each.removesuffix(".py").rpartition("/") for each in modules)
    found = (f"{above}{slash}__pycache__/{name}{ending}" for above, slash, name in places)
    return {each for each in found if each in there}
