"""The state of every file of a prefix when it was sealed, kept beside the prefix."""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH115, PTH118
from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from elt_env.environment.damage import Damage, compare_attributes, compare_lists
from elt_env.environment.prefix import MARKER
from elt_env.python.bytecode import is_cached
from elt_env.runtime.file_hashes import HashOf
from elt_env.runtime.files import sha256_of, sha256_of_open, write_atomically
from elt_env.runtime.input_files import read_stored

_ATTRIBUTES = ("user.", "security.capability", "system.posix_acl_")
_NOTED = ("directories", "attributes")

Listed = dict[str, str]
"""By path below the prefix: `644 <sha256>` of a file, `-> <target>` of a symbolic link."""


@dataclass(frozen=True)
class SealedFiles:
    """The list of a prefix, as it was kept.

    Attributes:
        files: what every file and symbolic link was.
        stats: by path the size, the time of the last change (ns) and the inode of a file.
        directories: the mode of every directory; None where it was not noted.
        attributes: the extended attributes of what has some; None where that was not noted.
    """

    files: Listed
    stats: Mapping[str, str]
    directories: Listed | None = None
    attributes: Listed | None = None


def list_path(prefix: Path) -> Path:
    """Return where the list of a prefix is kept."""
    return prefix.with_name(f".{prefix.name}.files.json")


def list_prefix(prefix: Path, hash_of: HashOf = sha256_of) -> SealedFiles:
    """Return what every file, link and directory below `prefix` is now, but for its marker."""
    root, paths = os.fspath(prefix), paths_below(prefix)
    files, stats = {}, {}
    for path in paths:
        if not path.endswith("/"):
            place = os.path.join(root, path)
            # Before it is read: a file that changes meanwhile then has other stats than these.
            found = os.lstat(place)
            stats[path] = stats_of(found)
            files[path] = described(place, found, hash_of)
    return SealedFiles(files, stats, directories_of(root, paths), _attributes(root, paths))


def compare(prefix: Path, sealed: SealedFiles, *, quickly: bool = False) -> tuple[Damage, ...]:
    """Return what of a prefix is not what it was: files, directories, modes, extended attributes.

    Bytecode that Python wrote anew is derived; what was changed in its place is damage.

    Args:
        prefix: the directory.
        sealed: what it was.
        quickly: whether a file counts as what it was where its size, time of the last change and
            inode are those of then; else every file is read.
    """
    root = os.fspath(prefix)
    now = _Now(root, sealed if quickly else SealedFiles({}, {}))
    now.look(root)
    files = compare_lists(sealed.files, now.files)
    found = tuple(
        replace(each, part="prefix") if _is_edited(each, root, sealed) else each for each in files
    )
    if sealed.directories is not None:
        found += compare_lists(sealed.directories, now.directories)
    if sealed.attributes is not None:
        gone = {each.path for each in found}
        others = compare_attributes(sealed.attributes, now.attributes)
        found += tuple(each for each in others if each.path not in gone)
    return found


class _Now:
    """What is below a directory now; what looks as it did when it was sealed is not read.

    A file whose size, time of the last change and inode are those that are `known` counts as what
    it was. What is not seen then is a change of a file's content after which its old time was set
    again, and a disk that returns other bytes than it was given.
    """

    def __init__(self, root: str, known: SealedFiles) -> None:
        self._root, self._known = root, known
        self.files: Listed = {}
        self.directories: Listed = {}
        self.attributes: Listed = {}

    def look(self, place: str, below: str = "") -> None:
        """Look at all that is in a directory: from there, which spares the system its path."""
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if below and not is_cached(f"{below}."):
                self.directories[below] = f"{stat.S_IMODE(os.fstat(handle).st_mode):o} /"
            with os.scandir(handle) as entries:
                for entry in entries:
                    self._look_at(f"{below}{entry.name}", entry)
        finally:
            os.close(handle)

    def _look_at(self, path: str, entry: os.DirEntry[str]) -> None:
        place = f"{self._root}/{path}"
        if entry.is_dir(follow_symlinks=False):
            path += "/"
            self.look(place, path)
        elif path == MARKER:
            return
        else:
            self.files[path] = self._described(path, place, _stat(entry, place))
        noted = attributes(place)
        if noted:
            self.attributes[path] = json.dumps(noted)

    def _described(self, path: str, place: str, found: os.stat_result) -> str:
        listed = self._known.files.get(path)
        as_known = stat.S_ISREG(found.st_mode) and stats_of(found) == self._known.stats.get(path)
        if listed and as_known:
            return f"{stat.S_IMODE(found.st_mode):o} {listed.partition(' ')[2]}"
        return described(place, found)


def _stat(entry: os.DirEntry[str], place: str) -> os.stat_result:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return os.lstat(place)  # whose error names the whole path


def _is_edited(each: Damage, root: str, sealed: SealedFiles) -> bool:
    """Tell whether bytecode was changed in its place, which Python does not do.

    Other prefixes may share the file.
    """
    stats = sealed.stats.get(each.path)
    if each.is_fault or each.fault in ("was added", "is gone") or stats is None:
        return False
    inode = stats.rpartition(" ")[2]
    return inode == str(os.lstat(os.path.join(root, each.path)).st_ino)


def directories_of(root: str, paths: Sequence[str]) -> Listed:
    """Return `755 /` of every directory but those of bytecode, which are derived."""
    return {
        path: f"{stat.S_IMODE(os.lstat(os.path.join(root, path)).st_mode):o} /"
        for path in paths
        if path.endswith("/") and not is_cached(f"{path}.")
    }


def _attributes(root: str, paths: Sequence[str]) -> Listed:
    """Return the extended attributes of what has some: those that programs and access rest on.

    Others are the system's own, as labels of SELinux, and change without anybody's doing.
    """
    listed = {path: attributes(os.path.join(root, path)) for path in paths}
    return {path: json.dumps(each) for path, each in listed.items() if each}


def attributes(path: str | int) -> dict[str, str]:
    """Return the extended attributes of a file or directory by name, in hex; none of a link.

    It may be a descriptor of what is open.
    """
    try:
        names = os.listxattr(path, follow_symlinks=isinstance(path, int))
        wanted = [each for each in names if each.startswith(_ATTRIBUTES)]
        return {
            each: os.getxattr(path, each, follow_symlinks=isinstance(path, int)).hex()
            for each in wanted
        }
    except (OSError, AttributeError):  # the file system, or the platform, has none
        return {}


def remove_attributes(path: Path) -> None:
    """Take the extended attributes that are listed from a directory.

    Raises:
        OSError: the file system does not let it be.
    """
    for name in attributes(os.fspath(path)):
        os.removexattr(path, name, follow_symlinks=False)


def keep_list(prefix: Path, hash_of: HashOf = sha256_of) -> None:
    """Keep the list of a prefix as it is now.

    Raises:
        StorageError: the disk is full or not writable.
    """
    write_list(prefix, list_prefix(prefix, hash_of))


def write_list(prefix: Path, listed: SealedFiles) -> None:
    """Keep a list of a prefix.

    Raises:
        StorageError: the disk is full or not writable.
    """
    write_atomically(list_path(prefix), json.dumps(vars(listed)) + "\n")


def kept_list(prefix: Path) -> SealedFiles | None:
    """Return the list that was kept for a prefix; None when it is gone or damaged."""
    try:
        return parse_list(read_stored(list_path(prefix)))
    except OSError:
        return None


def parse_list(data: bytes) -> SealedFiles | None:
    """Return a list that was kept; None when it is damaged."""
    try:
        content = json.loads(data)
        files, stats = dict(content["files"]), dict(content["stats"])
        others = [dict(content[each]) for each in _NOTED if each in content]
    except (ValueError, KeyError, TypeError):
        return None
    sealed = (
        SealedFiles(files, stats, *others)
        if len(others) == len(_NOTED)
        else SealedFiles(files, stats)
    )
    texts = [text for each in (files, stats, *others) for text in each.values()]
    return sealed if all(isinstance(each, str) for each in texts) else None


_deriving = threading.Lock()


def seal_of(prefix: Path) -> str | None:
    """Return the digest of what a prefix held when it was sealed; None without its list.

    Left out is what differs each time a prefix is built at one place: bytecode, and what records
    of conda and pip say of the installation itself.
    """
    try:
        found = list_path(prefix).stat()
    except OSError:
        return None
    with _deriving:  # several checks ask at once
        return _seal_of(prefix, found.st_mtime_ns, found.st_ino)


@lru_cache(maxsize=8)
def _seal_of(prefix: Path, *_: int) -> str | None:
    sealed = kept_list(prefix)
    if sealed is None:
        return None
    content = {path: what for path, what in sealed.files.items() if not _varies(path)}
    text = json.dumps(content, sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _varies(path: str) -> bool:
    return is_cached(path) or path.startswith("conda-meta/") or path.endswith(".dist-info/RECORD")


def paths_below(prefix: Path) -> list[str]:
    """Return the path below `prefix` of all but its marker, sorted; of a directory with a slash."""
    return sorted(_walk(os.fspath(prefix)))


def _walk(root: str, below: str = "") -> Iterator[str]:
    with os.scandir(os.path.join(root, below)) as entries:
        for entry in entries:
            path = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield f"{path}/"
                yield from _walk(root, f"{path}/")
            elif path != MARKER:
                yield path


def described(path: str, found: os.stat_result, hash_of: HashOf = sha256_of) -> str:
    """Return what the file or link at a path is, as in `Listed`; `found` is its own status."""
    if stat.S_ISLNK(found.st_mode):
        return f"-> {os.readlink(path)}"
    return f"{stat.S_IMODE(found.st_mode):o} {hash_of(path)}"


def read_once(path: str) -> tuple[str, str, dict[str, str]]:
    """Return what a file or link is, its stats, and its attributes, with few calls of the system.

    Raises:
        OSError: it cannot be read, or is something else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        found = os.lstat(path)
        return described(path, found), stats_of(found), {}
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no file", path)
        content = sha256_of_open(handle, found.st_size)
        return f"{stat.S_IMODE(found.st_mode):o} {content}", stats_of(found), attributes(handle)
    finally:
        os.close(handle)


def stats_of(found: os.stat_result) -> str:
    """Return the size, the time of the last change (ns) and the inode of a file."""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
