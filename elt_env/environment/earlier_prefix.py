"""A prefix made of one that was sealed before, of whose files each is read.

The next prefix of a lock gets links to all files of the one before, and each is held against its
sealed list, in full. What names the place is written anew. A lock with the same conda packages, of
whose pip packages some are others, gets what both have in the same way, and one pip command
installs what is new. Where one thing is not as it was sealed, or is unusual, nothing is taken: the
prefix is built of its packages.
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH101, PTH102, PTH123
from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from elt_env.environment import conda_history, file_list
from elt_env.environment.added_packages import Added, added_packages
from elt_env.environment.bytecode_cache import BytecodeCache, compiled_path
from elt_env.environment.conda_meta import HISTORY
from elt_env.environment.file_list import Listed
from elt_env.environment.kept_files import ACTIVATED, UnfitError, kept_files
from elt_env.environment.named_place import moved, recorded
from elt_env.environment.pip_step import PIP_LOG, install_pip, logged
from elt_env.environment.prefix import Prefix, Stage
from elt_env.environment.prefix_content import require_installed_is_locked, unfit
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.environment.sealed_note import (
    Groups,
    Note,
    identity,
    joined,
    keep_note,
    note_of,
    noted,
)
from elt_env.errors import IntegrityError, ProofError, ToolError
from elt_env.machine.process import Say
from elt_env.runtime.cancelling import side_by_side
from elt_env.runtime.input_files import read_content, read_stored

_AT_ONCE = 500
"""Files that a thread links and reads before it looks whether somebody has interrupted."""


def link_earlier(prefix: Prefix, tools: PrefixTools, say: Say) -> tuple[str, ...]:
    """Make a prefix, which is not there, of one that was sealed; return the steps, () without one.

    Raises:
        NetworkError: what is new cannot be fetched.
        StorageError: the disk is full or not writable.
    """
    note = noted(prefix, tools)
    if note is None:
        return ()
    say(f"prefix: linking {note.place}, which was sealed before, each file of which is read")
    try:
        with prefix.reaching(Stage.READY):
            making = _Making(note, prefix, tools, say)
            making.make()
    except (UnfitError, OSError, ValueError, IntegrityError, ProofError, ToolError) as error:
        say(f"prefix: it is built of its packages: {error}")
        prefix.wipe()
        return ()
    return ("link_earlier_prefix", *(["pip_install_once"] if making.new else []))


class _Making:
    """A prefix that is made of an earlier one.

    Attributes:
        new: pip's packages that the earlier one does not have.

    Raises:
        UnfitError, OSError, ValueError: something is not as it was sealed.
    """

    def __init__(self, note: Note, prefix: Prefix, tools: PrefixTools, say: Say) -> None:
        self._note, self._prefix, self._tools, self._say = note, prefix, tools, say
        self._cache = BytecodeCache(tools.project.caches)
        self._limit = tools.project.policy.tool_limit.total_seconds()
        self._root = str(prefix.path)
        data = read_stored(file_list.list_path(Path(note.place)))
        listed = file_list.parse_list(data)
        if listed is None or hashlib.sha256(data).hexdigest() != note.listed:
            raise UnfitError("the list of its files was changed")
        self._listed = listed
        self._stats: dict[str, str] = {}
        self._changed: dict[str, tuple[str, int]] = {}
        wanted = {each.name: identity(each) for each in prefix.lock.pip}
        self._gone = {name for name, what in note.packages.items() if wanted.get(name) != what}
        self.new = [
            each for each in prefix.lock.pip if note.packages.get(each.name) != wanted[each.name]
        ]

    def make(self) -> None:
        """Make it, with its list of files and a note of it."""
        own = {each: self._read(each) for each in (*self._note.naming, *self._note.recording)}
        self._files = self._kept(own)
        note = self._note.within(self._files)
        groups = {int(level): each for level, each in note.groups.items()}
        compiled = self._compiled(groups)
        self._make_directories()
        written = {*note.naming, *note.recording, *compiled}
        linked = [path for path in self._files if path not in written]
        parts = [linked[start : start + _AT_ONCE] for start in range(0, len(linked), _AT_ONCE)]
        side_by_side(self._link, parts, os.cpu_count() or 1)
        for path in note.naming:
            own[path] = self._moved(own[path])
            self._write(path, own[path])
        self._compile(groups)
        for path in compiled:
            self._note_changed(path)
        own[HISTORY] = conda_history.render(self._prefix.lock, self._prefix.lock.locked_at).encode()
        for path in note.recording:
            self._write(path, recorded(own[path], self._changed))
        added = self._add() if self._gone or self.new else None
        self._set_modes()
        sealed_files = replace(self._listed, files=self._files, stats=self._stats)
        file_list.write_list(self._prefix.path, sealed_files)
        if added is not None:
            mine = note_of(self._prefix, added.files, added.groups)
            keep_note(joined(note, mine), self._prefix, self._tools)

    def _kept(self, own: Mapping[str, bytes]) -> Listed:
        """Return what both have of the files of the earlier one."""
        files = dict(self._listed.files)
        if not self._gone and not self.new:
            return files
        if any(each.startswith(ACTIVATED) for each in files):
            raise UnfitError("what activation sets may rest on its packages")
        records = {each: own[each] for each in self._note.recording}
        site = self._prefix.site_packages.relative_to(self._prefix.path).as_posix()
        packages = {each: each not in self._gone for each in self._note.packages}
        kept = kept_files(files.keys(), records, site, packages)
        above = {f"{each}/" for each in _above(files)}
        if not above >= (self._listed.directories or {}).keys():
            raise UnfitError("it has directories without files")
        left = {f"{each}/" for each in _above(kept)}
        directories = {
            path: mode for path, mode in (self._listed.directories or {}).items() if path in left
        }
        self._listed = replace(self._listed, directories=directories)
        return {path: what for path, what in files.items() if path in kept}

    def _add(self) -> Added:
        """Install what the earlier one does not have, and verify the whole."""
        prefix, lock = self._prefix, self._prefix.lock
        with logged(self._tools.store.log_path(lock.digest, PIP_LOG), self._say) as told:
            both = len(lock.pip) - len(self.new)
            told(f"pip: {both} packages are linked from {self._note.place}, of the same files")
            if self.new:
                install_pip(prefix, self.new, self._tools, told, self._files.keys())
        require_installed_is_locked(prefix)
        faults = self._tools.installer.inconsistencies(prefix.path, self._say)
        if faults:
            raise unfit(prefix, faults)
        added = added_packages(prefix, self.new, self._files.keys(), self._compile)
        self._files = dict(sorted((self._files | added.files).items()))
        self._stats |= added.stats
        directories = added.directories | (self._listed.directories or {})
        self._listed = replace(self._listed, directories=directories)
        return added

    def _compile(self, groups: Groups) -> None:
        for level, each in groups.items():
            self._cache.compile(each, level, self._prefix, self._limit, self._say)

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
            raise UnfitError(f"{path} of {self._note.place} was changed")
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
                raise UnfitError(f"{path} of {self._note.place} was changed")

    def _moved(self, content: bytes) -> bytes:
        old, new = self._note.place, self._root
        found = moved(content, os.fsencode(old), os.fsencode(new))
        if found is None:
            raise UnfitError(f"{old} has programs that have no room for the path {new}")
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


def _above(paths: Iterable[str]) -> set[str]:
    """Return every directory that one of the paths lies in, with those above it."""
    found: set[str] = set()
    for path in paths:
        directory = path.rpartition("/")[0]
        while directory and directory not in found:
            found.add(directory)
            directory = directory.rpartition("/")[0]
    return found
