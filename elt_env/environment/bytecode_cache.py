"""Bytecode that was compiled before, kept under what it was compiled from.

The bytes of a package's bytecode depend on its sources and on the interpreter (`compile_modules`).
So the next prefix that has the same sources gets the same files: links, where the file system has
them, as an installer links the sources; else copies. Python writes bytecode anew beside what is
there and changes none in its place. Where somebody does, every prefix that has the file is not as
it was sealed (`file_list.compare`), and the cache no longer gives it.

An entry is a directory. Its `index` names each module with the mode and hash of its bytecode, after
a code over all of it (HMAC, RFC 2104), whose key lies outside of the caches. An entry counts as not
there when its index does not agree with the code, or when one file is not what the index says. Its
package is compiled then, and kept anew.
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH103, PTH108, PTH116, PTH118, PTH120
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from elt_env.environment.file_list import attributes
from elt_env.environment.prefix import Prefix
from elt_env.machine.process import Say
from elt_env.project.cache_home import CacheHome, sealed, unsealed
from elt_env.python.bytecode import bytecode_path
from elt_env.python.compilation import COMPILER, compile_modules
from elt_env.runtime.file_hashes import HashOf
from elt_env.runtime.files import remove, sha256_of, writing
from elt_env.runtime.input_files import read_stored
from elt_env.store.last_use import mark_used

_INDEX = "index"
_Index = Mapping[str, tuple[int, str]]
"""By source the mode and the sha256 of its bytecode; in this order the files are numbered."""


class BytecodeCache:
    """The bytecode in the caches of a project.

    Args:
        caches: where it is.
        hash_of: returns the hashes of files, of which whoever compiles may know some already.
    """

    def __init__(self, caches: CacheHome, hash_of: HashOf = sha256_of) -> None:
        self._place = caches.path / "bytecode"
        self._caches = caches
        self.hash_of = hash_of

    def compile(
        self, groups: Sequence[Sequence[str]], level: int, prefix: Prefix, limit: float, say: Say
    ) -> int:
        """Let every group of sources have bytecode; return how many of these have.

        Raises: as `compile_modules`.
        """
        secret = self._caches.secret()
        keyed = {self._key_of(group, level, prefix): group for group in groups}
        with writing(prefix.path):
            taken = {key: self._take(key, level, prefix, secret) for key in keyed}
        due = {key: keyed[key] for key, number in taken.items() if number is None}
        say(f"bytecode: {len(keyed) - len(due)} of {len(keyed)} packages were compiled before")
        left_out = (
            compile_modules(prefix.python, prefix.path, due.values(), limit, say, level=level)
            if due
            else ()
        )
        lost = {line.partition(": ")[0] for line in left_out}
        for key, group in due.items():
            self._keep(key, [each for each in group if each not in lost], level, prefix, secret)
        return sum(filter(None, taken.values())) + sum(map(len, due.values())) - len(left_out)

    def _key_of(self, group: Sequence[str], level: int, prefix: Prefix) -> str:
        """Return the hash of all that the bytecode of a group depends on."""
        places = [os.path.join(prefix.path, each) for each in group]
        modes = [os.stat(each).st_mode for each in places]
        sources = list(zip(group, modes, map(self.hash_of, places), strict=True))
        of_compiler = [prefix.interpreter_digest, self.hash_of(COMPILER), level]
        return hashlib.sha256(json.dumps([of_compiler, sources]).encode()).hexdigest()

    def _take(self, key: str, level: int, prefix: Prefix, secret: bytes) -> int | None:
        """Link what is kept into a prefix; return of how many modules, None where nothing is."""
        entry = self._place / key
        index = _index_of(entry, secret)
        if index is None:
            return None
        mark_used(entry)
        targets = [compiled_path(source, level, prefix) for source in index]
        for each in {os.path.dirname(target) for target in targets}:
            os.makedirs(each, exist_ok=True)
        for number, (target, wanted) in enumerate(zip(targets, index.values(), strict=True)):
            given = _give(os.path.join(entry, str(number)), target)
            if not given or self._state(target) != wanted:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(target)
                return None
        return len(index)

    def _state(self, path: str) -> tuple[int, str] | None:
        """Return the mode and hash of a file; None for what is none, or has more than these."""
        try:
            mode = os.lstat(path).st_mode
            plain = stat.S_ISREG(mode) and not attributes(path)
            return (stat.S_IMODE(mode), self.hash_of(path)) if plain else None
        except OSError:
            return None

    def _keep(
        self, key: str, sources: Iterable[str], level: int, prefix: Prefix, secret: bytes
    ) -> None:
        """Keep the bytecode of modules; where that is not possible, it is compiled another time."""
        if not secret:
            return
        entry = self._place / key
        new = self._place / f".{key}.{os.getpid():08}"
        with contextlib.suppress(OSError):
            new.mkdir(parents=True)
            index = {}
            for number, source in enumerate(sources):
                kept = os.path.join(new, str(number))
                _give(compiled_path(source, level, prefix), kept)
                index[source] = self._state(kept)
            data = json.dumps(index).encode()
            if None not in index.values():
                (new / _INDEX).write_bytes(sealed(key, data, secret))
                remove(entry)
                new.rename(entry)
        with contextlib.suppress(OSError):
            remove(new)


def _index_of(entry: Path, secret: bytes) -> _Index | None:
    try:
        data = unsealed(entry.name, read_stored(entry / _INDEX), secret)
    except OSError:
        return None
    if data is None:
        return None
    return {source: (mode, sha256) for source, (mode, sha256) in json.loads(data).items()}


def compiled_path(source: str, level: int, prefix: Prefix) -> str:
    """Return where the bytecode of a source of a prefix is."""
    tag = f"{prefix.bytecode_tag}.opt-{level}" if level else prefix.bytecode_tag
    return os.path.join(prefix.path, bytecode_path(source, tag))


def _give(source: str, target: str) -> bool:
    """Link a file, or copy it where that is not possible, in the place of whatever is there."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        remove(Path(target))
        return _give(source, target)
    except FileNotFoundError:
        return False
    except OSError:  # another file system, or one without links, or more of them than it lets be
        return _copy(source, target)
    return True


def _copy(source: str, target: str) -> bool:
    try:
        data, mode = read_stored(Path(source)), os.lstat(source).st_mode
    except OSError:
        return False
    part = f"{target}.{os.getpid()}"
    with open(part, "wb") as file:  # noqa: PTH123  # what a disk loses of it, its hash tells
        file.write(data)
        os.fchmod(file.fileno(), stat.S_IMODE(mode))
    os.replace(part, target)  # noqa: PTH105
    return True
