"""A prefix made of one that was sealed before, of the same lock, of whose files each is read.

A cache has a note of a sealed prefix: its place, the hash of its list of files, and which of them
name the place; before it lies a code (HMAC, RFC 2104), whose key is kept outside of the caches. The
next prefix of that lock gets links to all others, and each is held against the list, in full. What
names the place is written anew. Where one thing is not as it was sealed, nothing is taken: the
prefix is built of its packages.
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH101, PTH102, PTH118, PTH123
from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from elt_env.environment import file_list
from elt_env.environment.bytecode_cache import BytecodeCache, compiled_path
from elt_env.environment.file_list import SealedFiles
from elt_env.environment.named_place import is_plain, moved, recorded
from elt_env.environment.prefix import FORMAT, Prefix, Stage
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import StorageError
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of
from elt_env.project.cache_home import sealed, unsealed
from elt_env.python.bytecode import is_cached
from elt_env.python.compilation import COMPILER
from elt_env.runtime.cancelling import side_by_side
from elt_env.runtime.files import sha256_of, write_atomically
from elt_env.runtime.input_files import read_content, read_stored
from elt_env.store.last_use import mark_used

_AT_ONCE = 500
"""Files that a thread links and reads before it looks whether somebody has interrupted."""

Groups = Mapping[int, Sequence[Sequence[str]]]
"""By level of optimization the sources that were compiled, of which some are compiled together."""


class _UnfitError(Exception):
    """Something of the earlier prefix is not as it was sealed, or has no form for another place."""


@dataclass(frozen=True)
class _Note:
    """A prefix that was sealed.

    Attributes:
        place: its directory.
        listed: the sha256 of its list of files.
        naming: the files that name the place.
        recording: those that state a hash of these, or of bytecode of these.
        groups: the sources with which some of these were compiled, by level.
    """

    place: str
    listed: str
    naming: Sequence[str]
    recording: Sequence[str]
    groups: Mapping[str, Sequence[Sequence[str]]]


def note_sealed(prefix: Prefix, groups: Groups, tools: PrefixTools) -> None:
    """Note a prefix that was sealed just now, so that the next one of its lock is made of it.

    Args:
        prefix: the prefix.
        groups: what was compiled for it.
        tools: those it was built with.
    """
    listed = file_list.kept_list(prefix.path)
    secret = tools.project.caches.secret()
    if listed is None or listed.attributes or not secret or not _is_fit(prefix):
        return
    own = _own_contents(prefix, listed)
    place = os.fsencode(prefix.path)
    naming = [path for path, content in own.items() if place in content]
    note = _Note(
        str(prefix.path),
        sha256_of(file_list.list_path(prefix.path)),
        naming,
        [path for path in own if path.startswith("conda-meta/") or path.endswith("/RECORD")],
        {str(level): taking for level, found in groups.items() if (taking := _with(naming, found))},
    )
    path = _path(prefix, tools)
    with contextlib.suppress(StorageError):  # the next one is built of its packages
        write_atomically(path, sealed(path.name, json.dumps(asdict(note)).encode(), secret))


def _with(paths: Sequence[str], groups: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """Return the groups that have one of the paths."""
    return [each for each in groups if not set(paths).isdisjoint(each)]


def _own_contents(prefix: Prefix, listed: SealedFiles) -> dict[str, bytes]:
    """Return what is in the files that are not links to a cache, but for bytecode.

    What is the same in every prefix, installers link; where they cannot, this is every file.
    """
    places = {
        path: os.path.join(prefix.path, path)
        for path, what in listed.files.items()
        if not what.startswith("-> ") and not is_cached(path)
    }
    return {
        path: read_content(Path(place))
        for path, place in places.items()
        if os.lstat(place).st_nlink == 1
    }


def link_earlier(prefix: Prefix, tools: PrefixTools, say: Say) -> bool:
    """Make a prefix, which is not there, of one that was sealed; return whether there is one.

    Raises:
        StorageError: the disk is full or not writable.
    """
    note = _noted(prefix, tools)
    if note is None:
        return False
    say(f"prefix: linking {note.place}, which was sealed before, each file of which is read")
    try:
        with prefix.reaching(Stage.READY):
            cache = BytecodeCache(tools.project.caches)
            limit = tools.project.policy.tool_limit.total_seconds()
            _Making(note, prefix).make(cache, limit, say)
    except (_UnfitError, OSError, ValueError) as error:
        say(f"prefix: it is built of its packages: {error}")
        prefix.wipe()
        return False
    return True


def _noted(prefix: Prefix, tools: PrefixTools) -> _Note | None:
    """Return the note of an earlier prefix of the lock that is still there."""
    path = _path(prefix, tools)
    try:
        data = unsealed(path.name, read_stored(path), tools.project.caches.secret())
    except OSError:
        return None
    if data is None or not _is_fit(prefix):
        return None
    note = _Note(**json.loads(data))
    mark_used(path)
    return note if Prefix(Path(note.place), prefix.lock).ready else None


def _is_fit(prefix: Prefix) -> bool:
    """Tell whether the place is written as it is, and nothing outside is a part of the prefix."""
    place = os.fsencode(prefix.path)
    return prefix.lock.interpreter is None and os.path.realpath(place) == place and is_plain(place)


def _path(prefix: Prefix, tools: PrefixTools) -> Path:
    """Return where the note of a lock's prefix is: by all that decides what it holds."""
    lock = prefix.lock
    installer = tools.project.environment(lock.target.environment).installer
    name = digest_of([lock.digest, FORMAT, installer, sha256_of(COMPILER)]).removeprefix("sha256:")
    return tools.project.caches.path / "sealed" / name


class _Making:
    """A prefix that is made of an earlier one.

    Raises:
        _UnfitError, OSError, ValueError: something is not as it was sealed.
    """

    def __init__(self, note: _Note, prefix: Prefix) -> None:
        self._note = note
        self._prefix = prefix
        self._root = str(prefix.path)
        data = read_stored(file_list.list_path(Path(note.place)))
        listed = file_list.parse_list(data)
        if listed is None or hashlib.sha256(data).hexdigest() != note.listed:
            raise _UnfitError("the list of its files was changed")
        self._listed = listed
        self._files = dict(listed.files)
        self._stats: dict[str, str] = {}
        self._changed: dict[str, tuple[str, int]] = {}

    def make(self, cache: BytecodeCache, limit: float, say: Say) -> None:
        """Make it, with its list of files; what is to be compiled has `limit` seconds."""
        groups = {int(level): each for level, each in self._note.groups.items()}
        compiled = self._compiled(groups)
        own = {each: self._read(each) for each in (*self._note.naming, *self._note.recording)}
        self._make_directories()
        written = own.keys() | compiled
        linked = [path for path in self._listed.files if path not in written]
        parts = [linked[start : start + _AT_ONCE] for start in range(0, len(linked), _AT_ONCE)]
        side_by_side(self._link, parts, os.cpu_count() or 1)
        for path in self._note.naming:
            own[path] = self._moved(own[path])
            self._write(path, own[path])
        for level, each in groups.items():
            cache.compile(each, level, self._prefix, limit, say)
        for path in compiled:
            self._note_changed(path)
        for path in self._note.recording:
            self._write(path, recorded(own[path], self._changed))
        self._set_modes()
        sealed_files = replace(self._listed, files=self._files, stats=self._stats)
        file_list.write_list(self._prefix.path, sealed_files)

    def _compiled(self, groups: Groups) -> set[str]:
        """Return the bytecode of sources, as far as there is some."""
        root = f"{self._root}/"
        paths = {
            compiled_path(source, level, self._prefix).removeprefix(root)
            for level, found in groups.items()
            for group in found
            for source in group
        }
        return paths & self._files.keys()

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _read(self, path: str) -> bytes:
        """Return the content of a file of the earlier prefix."""
        content = read_content(Path(self._note.place, path))
        if hashlib.sha256(content).hexdigest() != self._listed.files[path].partition(" ")[2]:
            raise _UnfitError(f"{path} of {self._note.place} was changed")
        return content

    def _make_directories(self) -> None:
        listed = {each.rstrip("/") for each in self._listed.directories or ()}
        above = {path.rpartition("/")[0] for path in self._files}
        for each in sorted((listed | above) - {""}):
            os.mkdir(self._place(each))

    def _set_modes(self) -> None:
        """Give the directories their modes, now that there is nothing to write in them."""
        for path, mode in (self._listed.directories or {}).items():
            os.chmod(self._place(path), int(mode.split()[0], 8))

    def _link(self, paths: Sequence[str]) -> None:
        for path in paths:
            place = self._place(path)
            os.link(f"{self._note.place}/{path}", place, follow_symlinks=False)
            what, self._stats[path], more = file_list.read_once(place)
            if more or what != self._files[path]:
                raise _UnfitError(f"{path} of {self._note.place} was changed")

    def _moved(self, content: bytes) -> bytes:
        old, new = self._note.place, self._root
        found = moved(content, os.fsencode(old), os.fsencode(new))
        if found is None:
            raise _UnfitError(f"{old} has programs that have no room for the path {new}")
        return found

    def _write(self, path: str, content: bytes) -> None:
        place = self._place(path)
        with open(place, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), int(self._files[path].split()[0], 8))
        self._note_changed(path)

    def _note_changed(self, path: str) -> None:
        """Note what a file has become, for the list and for what states its hash."""
        self._files[path], self._stats[path], _ = file_list.read_once(self._place(path))
        before, now = (each[path].partition(" ")[2] for each in (self._listed.files, self._files))
        self._changed[before] = now, int(self._stats[path].partition(" ")[0])
