"""What every file of a sealed prefix was when it was sealed, kept beside the prefix."""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH115, PTH118
from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from elt_env.model.bytecode import is_cached
from elt_env.model.damage import Damage, compare_attributes, compare_lists
from elt_env.tools.files import sha256_of, write_atomically
from elt_env.tools.prefix import MARKER

_ATTRIBUTES = ("user.", "security.capability", "system.posix_acl_")
_NOTED = ("directories", "attributes")

Listed = dict[str, str]
"""By path below the prefix: `644 <sha256>` of a file, `-> <target>` of a symbolic link."""


@dataclass(frozen=True)
class Sealed:
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


def list_files(prefix: Path) -> Listed:
    """Return what every file and symbolic link below `prefix` is now, but for its marker."""
    root = os.fspath(prefix)
    return {path: _described(os.path.join(root, path)) for path in sorted(_walk(root))}


def list_quickly(prefix: Path, sealed: Sealed) -> Listed:
    """Return the same, without reading what looks as it did when the prefix was sealed.

    A file whose size, time of the last change and inode are those of then counts as what it was;
    any other is read. What is not seen is a change of a file's content after which its old time
    was set again, and a disk that returns other bytes than it was given: `list_files` sees both.
    """
    root = os.fspath(prefix)
    return {
        path: _described(os.path.join(root, path), sealed.files.get(path), sealed.stats.get(path))
        for path in sorted(_walk(root))
    }


def compare(prefix: Path, sealed: Sealed, *, quickly: bool = False) -> tuple[Damage, ...]:
    """Return what of a prefix is not what it was: files, directories, modes, extended attributes.

    Args:
        prefix: the directory.
        sealed: what it was.
        quickly: whether files are looked at as `list_quickly` does.
    """
    found = compare_lists(
        sealed.files, list_quickly(prefix, sealed) if quickly else list_files(prefix)
    )
    if sealed.directories is not None:
        found += compare_lists(sealed.directories, list_directories(prefix))
    if sealed.attributes is not None:
        gone = {each.path for each in found}
        others = compare_attributes(sealed.attributes, list_attributes(prefix))
        found += tuple(each for each in others if each.path not in gone)
    return found


def list_directories(prefix: Path) -> Listed:
    """Return `755 /` by path, with a slash at its end, of every directory, but those of bytecode.

    Those are derived, as what lies in them.
    """
    root = os.fspath(prefix)
    return {
        path: f"{stat.S_IMODE(os.lstat(os.path.join(root, path)).st_mode):o} /"
        for path in sorted(_walk(root, directories=True))
        if path.endswith("/") and not is_cached(f"{path}.")
    }


def list_attributes(prefix: Path) -> Listed:
    """Return the extended attributes of what has some: those that programs and access rest on.

    Others are the system's own, as labels of SELinux, and change without anybody's doing.
    """
    root = os.fspath(prefix)
    listed = {path: attributes(os.path.join(root, path)) for path in _walk(root, directories=True)}
    return {path: json.dumps(each) for path, each in sorted(listed.items()) if each}


def attributes(path: str) -> dict[str, str]:
    """Return the extended attributes of a file or directory by name, in hex; none of a link."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
        wanted = [each for each in names if each.startswith(_ATTRIBUTES)]
        return {each: os.getxattr(path, each, follow_symlinks=False).hex() for each in wanted}
    except (OSError, AttributeError):  # the file system, or the platform, has none
        return {}


def remove_attributes(path: Path) -> None:
    """Take the extended attributes that are listed from a directory.

    Raises:
        OSError: the file system does not let it be.
    """
    for name in attributes(os.fspath(path)):
        os.removexattr(path, name, follow_symlinks=False)


def keep_list(prefix: Path) -> None:
    """Keep the list of a prefix as it is now.

    Raises:
        StorageError: the disk is full or not writable.
    """
    root = os.fspath(prefix)
    # Before anything is read: a file that changes meanwhile then has other stats than these.
    stats = {path: _stats(os.lstat(os.path.join(root, path))) for path in _walk(root)}
    content = {
        "files": list_files(prefix),
        "stats": stats,
        "directories": list_directories(prefix),
        "attributes": list_attributes(prefix),
    }
    write_atomically(list_path(prefix), json.dumps(content, indent=0) + "\n")


def kept_list(prefix: Path) -> Sealed | None:
    """Return the list that was kept for a prefix; None when it is gone or damaged."""
    try:
        content = json.loads(list_path(prefix).read_bytes())
        files, stats = dict(content["files"]), dict(content["stats"])
        others = [dict(content[each]) for each in _NOTED if each in content]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    sealed = Sealed(files, stats, *others) if len(others) == len(_NOTED) else Sealed(files, stats)
    texts = [text for each in (files, stats, *others) for text in each.values()]
    return sealed if all(isinstance(each, str) for each in texts) else None


def seal_of(prefix: Path) -> str | None:
    """Return the digest of what a prefix held when it was sealed; None without its list.

    Left out is what differs each time a prefix is built at one place: bytecode, and what records
    of conda and pip say of the installation itself.
    """
    try:
        found = list_path(prefix).stat()
    except OSError:
        return None
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


def _walk(root: str, below: str = "", *, directories: bool = False) -> Iterator[str]:
    with os.scandir(os.path.join(root, below)) as entries:
        for entry in entries:
            path = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                if directories:
                    yield f"{path}/"
                yield from _walk(root, f"{path}/", directories=directories)
            elif path != MARKER:
                yield path


def _described(path: str, listed: str | None = None, stats: str | None = None) -> str:
    """Return what a path is; with the hash that was listed where it has the same stats."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return f"-> {os.readlink(path)}"
    mode = f"{stat.S_IMODE(found.st_mode):o}"
    if listed and stats == _stats(found) and not listed.startswith("-> "):
        return f"{mode} {listed.partition(' ')[2]}"
    return f"{mode} {sha256_of(Path(path))}"


def _stats(found: os.stat_result) -> str:
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"
