"""Notes of prefixes that were sealed, of which the next ones are made.

A note has the place of a prefix, the hash of its list of files, and which of them name the place;
before it lies a code (HMAC, RFC 2104), whose key is kept outside of the caches.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from elt_env.environment import file_list
from elt_env.environment.named_place import is_plain
from elt_env.environment.prefix import FORMAT, Prefix, Stage, marked
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.lockfile.document import Package
from elt_env.package.canonical import digest_of
from elt_env.project.cache_home import CacheHome
from elt_env.python.bytecode import is_cached
from elt_env.python.compilation import COMPILER
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import read_content
from elt_env.store.last_use import mark_used

Groups = Mapping[int, Sequence[Sequence[str]]]
"""By level of optimization the sources that were compiled, of which some are compiled together."""


@dataclass(frozen=True)
class Note:
    """A prefix that was sealed.

    Attributes:
        place: its directory.
        digest: that of its lock.
        packages: by the name of each package of pip's what tells it from any other file.
        listed: the sha256 of its list of files.
        naming: the files that name the place.
        recording: those that state a hash of these, or of bytecode of these.
        groups: the sources with which some of these were compiled, by level.
    """

    place: str
    digest: str
    packages: Mapping[str, str]
    listed: str
    naming: Sequence[str]
    recording: Sequence[str]
    groups: Mapping[str, Sequence[Sequence[str]]]

    def within(self, files: Collection[str]) -> Note:
        """Return what it says of some of its files."""
        groups = {
            level: [each for each in found if not set(each).isdisjoint(files)]
            for level, found in self.groups.items()
        }
        naming = [each for each in self.naming if each in files]
        recording = [each for each in self.recording if each in files]
        return replace(self, naming=naming, recording=recording, groups=groups)


def joined(earlier: Note, added: Note) -> Note:
    """Return a note with the files of both, of the prefix that the second one is about."""
    levels = sorted(earlier.groups.keys() | added.groups.keys())
    groups = {each: [*earlier.groups.get(each, ()), *added.groups.get(each, ())] for each in levels}
    return replace(
        added,
        naming=[*earlier.naming, *added.naming],
        recording=[*earlier.recording, *added.recording],
        groups=groups,
    )


def note_sealed(prefix: Prefix, groups: Groups, tools: PrefixTools) -> None:
    """Note a prefix that was sealed just now, so that the next ones are made of it.

    Args:
        prefix: the prefix.
        groups: what was compiled for it.
        tools: those it was built with.
    """
    listed = file_list.kept_list(prefix.path)
    if listed is not None and not listed.attributes:
        keep_note(note_of(prefix, listed.files, groups), prefix, tools)


def keep_note(note: Note, prefix: Prefix, tools: PrefixTools) -> None:
    """Keep the note of a prefix, where that is possible."""
    if _is_fit(prefix):  # without one, the next is built of its packages
        tools.project.caches.keep(_path(prefix, tools), json.dumps(asdict(note)).encode())


def note_of(prefix: Prefix, files: Iterable[str], groups: Groups) -> Note:
    """Return what is to be noted of a prefix, as far as some of its files go."""
    own = _own_contents(prefix, files)
    place = os.fsencode(prefix.path)
    naming = [path for path, content in own.items() if place in content]
    return Note(
        str(prefix.path),
        prefix.lock.digest,
        {each.name: identity(each) for each in prefix.lock.pip},
        sha256_of(file_list.list_path(prefix.path)),
        naming,
        [path for path in own if path.startswith("conda-meta/") or path.endswith("/RECORD")],
        {str(level): taking for level, found in groups.items() if (taking := _with(naming, found))},
    )


def identity(package: Package) -> str:
    """Return what tells the file that is installed of a package of pip's from any other."""
    return f"{package.version} {package.sha256} {package.file_name}"


def _with(paths: Sequence[str], groups: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return the groups that have one of the paths."""
    return [each for each in groups if not set(paths).isdisjoint(each)]


def _own_contents(prefix: Prefix, files: Iterable[str]) -> dict[str, bytes]:
    """Return what is in those files that are not links to a cache, but for bytecode.

    What is the same in every prefix, installers link; where they cannot, this is every file.
    """
    places = {path: f"{prefix.path}/{path}" for path in files if not is_cached(path)}
    return {
        path: read_content(Path(place))
        for path, place in places.items()
        if (found := os.lstat(place)).st_nlink == 1 and stat.S_ISREG(found.st_mode)
    }


def noted(prefix: Prefix, tools: PrefixTools) -> Note | None:
    """Return the note of an earlier prefix that is still there.

    It is of the same lock, else of the last one that has the same conda packages.
    """
    if not _is_fit(prefix):
        return None
    mine = _path(prefix, tools)
    family = mine.name.partition("-")[0]
    for path in (mine, *sorted(mine.parent.glob(f"{family}-*"), key=_last_use, reverse=True)):
        note = _read(path, tools.project.caches)
        if note and marked(Path(note.place), note.digest) == (Stage.READY, note.place):
            mark_used(path)
            return note
    return None


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path, caches: CacheHome) -> Note | None:
    data = caches.read(path)
    return None if data is None else Note(**json.loads(data))


def _is_fit(prefix: Prefix) -> bool:
    """Tell whether the place is written as it is, and nothing outside is a part of the prefix."""
    place = os.fsencode(prefix.path)
    return prefix.lock.interpreter is None and os.path.realpath(place) == place and is_plain(place)


def _path(prefix: Prefix, tools: PrefixTools) -> Path:
    """Return where the note of a lock's prefix is.

    Its name begins with all that decides what the prefix holds besides pip's packages.
    """
    lock = prefix.lock
    installer = tools.project.environment(lock.target.environment).installer
    conda = [
        (each.name, each.version, each.build, each.sha256, each.url, each.requested)
        for each in lock.conda
    ]
    besides = [str(lock.target), conda, lock.variables, FORMAT, installer, sha256_of(COMPILER)]
    name = f"{digest_of(besides)}-{lock.digest}".replace("sha256:", "")
    return tools.project.caches.path / "sealed" / name
