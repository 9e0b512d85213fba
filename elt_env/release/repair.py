"""Repair: what was damaged is made again from the lock, a file at a time.

Whatever still works goes on working: no file is missing for a moment, and a repair that is killed
is taken up by the next.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elt_env.environment.build import ensure_prefix
from elt_env.environment.bytecode_cache import BytecodeCache
from elt_env.environment.damage import Damage
from elt_env.environment.file_list import (
    SealedFiles,
    keep_list,
    kept_list,
    list_path,
    remove_attributes,
)
from elt_env.environment.prefix import Prefix, Stage
from elt_env.environment.prefix_bytecode import brought_bytecode, compile_prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.environment.second_prefix import second_prefix
from elt_env.environment.tree import differing
from elt_env.image.verify import repair_image
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.project.project import Project
from elt_env.python.bytecode import is_cached
from elt_env.release.move import moving
from elt_env.release.store import ReleaseStore
from elt_env.release.verify import locks_of, require_whole, verify
from elt_env.runtime.files import remove, write_atomically, writing
from elt_env.runtime.input_files import read_content
from elt_env.store.locks import Store

_ENTRY_POINT = "unix_python_entry_point"
_RECORD = ".dist-info/RECORD"
_OF_PREFIX = ("prefix", "bytecode")


def mend(target: Target, tools: PrefixTools, say: Say) -> tuple[Damage, ...]:
    """Make again what is damaged of a target's locks; return what was, once all of it is whole.

    Raises:
        IntegrityError: something is damaged still; or as `repair` says.
        InputError: the target has no lock.
    """
    repair_pointer(target, tools.project.policy, tools.store, say)
    found: list[Damage] = []
    for lock in locks_of(target, tools.store):
        damages = verify(lock, tools.store, say)
        for each in damages:
            say(f"verify: {each}")
        if damages:
            repair(lock, damages, tools, say)
            require_whole(lock, verify(lock, tools.store, say))
        found += damages
    return tuple(found)


def repair(lock: Lock, damages: Sequence[Damage], tools: PrefixTools, say: Say) -> None:
    """Make again what is damaged; see the module.

    Raises:
        IntegrityError: what is locked cannot be had any more as it was.
        NetworkError, StorageError, BusyError: the next call takes it up again.
    """
    parts = {each.part for each in damages}
    if "lock" in parts:
        say(f"repair: writing the files of the lock {lock.digest} again")
        tools.store.write_lock(lock)
    if not parts.isdisjoint(_OF_PREFIX):
        _repair_prefix(lock, [each for each in damages if each.part in _OF_PREFIX], tools, say)
    if "image" in parts:
        repair_image(lock, [each for each in damages if each.part == "image"], tools, say)
    _repair_release(lock, tools.project, tools.store, say)


def repair_pointer(target: Target, policy: Policy, store: Store, say: Say) -> None:
    """Lead the link to a target's release to the newest one, where it is gone or leads elsewhere.

    Raises:
        StorageError, BusyError: the next call takes it up again.
    """
    releases = ReleaseStore(store)
    with releases.sole_mover(target.name, policy.busy_limit.total_seconds()):
        lost = releases.lead(target.name)
    if lost:
        say(f"repair: {lost}; it leads to the newest release again")


def _repair_prefix(lock: Lock, damages: Sequence[Damage], tools: PrefixTools, say: Say) -> None:
    prefix = Prefix(tools.store.prefix_path(lock), lock)
    if not prefix.ready:
        ensure_prefix(lock, tools, say)
        return
    limit = tools.project.policy.tool_limit.total_seconds()
    with prefix.sole_builder(tools.project.policy.busy_limit.total_seconds(), say):
        sealed = kept_list(prefix.path)
        _remove_added([each.path for each in damages if each.fault == "was added"], prefix, say)
        directories = [each for each in damages if each.path.endswith("/")]
        _repair_directories(directories, prefix, sealed, say)
        lost = [each for each in damages if each.fault != "was added" and each not in directories]
        files = [each.path for each in lost if not is_cached(each.path)]
        compiled = [each.path for each in lost if is_cached(each.path)]
        # What is made again names the prefix by its path; all of it has to name it by the same.
        all_of_it = prefix.is_spelled_otherwise or files == [list_path(prefix.path).name]
        if all_of_it or files or _conda_s_own(compiled, prefix):
            say(f"repair: building {prefix.path.name} once more, to take {len(lost)} files from it")
            with second_prefix(lock, tools, say) as second:
                if all_of_it:
                    files = _all_that_differs(prefix, second)
                donor = _Donor(second.path, prefix.path, sealed.files if sealed else {})
                donor.give(files, say)
                donor.give(_conda_s_own(compiled, prefix), say)
        if all_of_it or lost:
            cache = BytecodeCache(tools.project.caches)
            compile_prefix(prefix, cache, limit, say, only=None if all_of_it else compiled)
        keep_list(prefix.path)
        if all_of_it:
            prefix.mark(Stage.READY)


def _all_that_differs(prefix: Prefix, second: Prefix) -> list[str]:
    """Return what differs, and the records, whose hashes of what names the prefix are not seen."""
    records = [*second.path.glob("conda-meta/*.json"), *second.path.rglob(f"*{_RECORD}")]
    found = {path for path, _ in differing(prefix.path, second.path)}
    return sorted(found | {each.relative_to(second.path).as_posix() for each in records})


def _remove_added(paths: Sequence[str], prefix: Prefix, say: Say) -> None:
    """Remove files, and directories with all that is in them: it was added too."""
    for path in paths:
        say(f"repair: removing {path}")
        remove(prefix.path / path)


def _repair_directories(
    damages: Sequence[Damage], prefix: Prefix, sealed: SealedFiles | None, say: Say
) -> None:
    """Make directories again that are gone, and let each be as it was sealed."""
    modes = sealed.directories if sealed and sealed.directories else {}
    for each in sorted(damages):
        if each.path in modes:
            say(f"repair: {each.path}")
            with writing(prefix.path):
                place = prefix.path / each.path
                place.mkdir(parents=True, exist_ok=True)
                place.chmod(int(modes[each.path].partition(" ")[0], 8))
                if each.fault == "has other extended attributes":
                    remove_attributes(place)


def _conda_s_own(paths: Sequence[str], prefix: Prefix) -> list[str]:
    """Return those of the paths of bytecode where conda's own was left in its place."""
    brought = brought_bytecode(prefix)
    return [each for each in paths if each in brought and not brought[each].replaced]


class _Donor:
    """A prefix whose files replace those of another; their paths have the same length.

    They get the modes that were sealed: both may share a file of the cache, whose mode was changed.
    """

    def __init__(self, second: Path, prefix: Path, sealed: Mapping[str, str]) -> None:
        self._second = second
        self._prefix = prefix
        self._sealed = sealed

    def give(self, paths: Sequence[str], say: Say) -> None:
        """Put each of the files in its place at once, and take away what the donor has not."""
        for path in paths:
            source, place = self._second / path, self._prefix / path
            say(f"repair: {path}")
            with writing(place):
                if source.is_symlink():
                    self._link(source, place)
                elif source.is_file():
                    write_atomically(place, self._content(path))
                    found = source.stat()
                    mode = self._sealed.get(path, "-> ").partition(" ")[0]
                    place.chmod(int(mode, 8) if mode.isdigit() else found.st_mode & 0o7777)
                    # The bytecode that conda brought may name the time of its source.
                    os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
                else:
                    place.unlink(missing_ok=True)

    def _link(self, source: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f".{place.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(os.fsdecode(self._moved(os.fsencode(source.readlink()))))
        new.replace(place)

    def _moved(self, data: bytes) -> bytes:
        return data.replace(os.fsencode(self._second), os.fsencode(self._prefix))

    def _content(self, path: str) -> bytes:
        data = self._moved(read_content(self._second / path))
        if path.startswith("conda-meta/") and path.endswith(".json"):
            return self._conda_record(data)
        if path.endswith(_RECORD):
            return self._record(path, data)
        return data

    def _sha256(self, path: str) -> bytes | None:
        """Return the hash that the donor's file has once it is moved; None for no file."""
        source = self._second / path
        if source.is_symlink() or not source.is_file():
            return None
        return hashlib.sha256(self._moved(read_content(source))).digest()

    def _target(self, path: str) -> str:
        """Return the path of the donor's file that a link leads to."""
        place, second = os.path.realpath(self._second / path), os.path.realpath(self._second)
        return os.path.relpath(place, second)

    def _conda_record(self, data: bytes) -> bytes:
        """Return a record of conda-meta whose hashes are those of the files after the move."""
        record = json.loads(data)
        entries: list[dict[str, Any]] = record.get("paths_data", {}).get("paths", [])
        for entry in entries:
            is_link = entry.get("path_type") == "softlink"
            found = self._sha256(self._target(entry["_path"]) if is_link else entry["_path"])
            written = entry.get("path_type") == _ENTRY_POINT
            for key in ("sha256_in_prefix", *(("sha256",) if written else ())):
                if found and entry.get(key):
                    entry[key] = found.hex()
        return json.dumps(record, indent=2).encode()

    def _record(self, path: str, data: bytes) -> bytes:
        """Return a RECORD whose hashes are those of the files after the move."""
        site = Path(path).parent.parent
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\n")
        for name, stated, size in csv.reader(io.StringIO(data.decode(), newline="")):
            found = self._sha256(os.path.normpath(site / name)) if stated else None
            if found:
                encoded = base64.urlsafe_b64encode(found).rstrip(b"=").decode()
                writer.writerow((name, f"sha256={encoded}", size))
            else:
                writer.writerow((name, stated, size))
        return out.getvalue().encode()


def _repair_release(lock: Lock, project: Project, store: Store, say: Say) -> None:
    """Write the entry points again where the lock is the release.

    What was built again may lie in another place, and may have other programs.
    """
    with moving("repair", lock.target, project, store, say) as mover:
        release = mover.before
        if release and release.digest == lock.digest:
            for each in mover.releases.mend(release, store.prefix_path(lock)):
                say(f"repair: {each.path} of the release")
