"""Bytecode that was compiled before, kept under what it was compiled from.

The bytes of a package's bytecode depend on its sources and on the interpreter (`compile_modules`).
So the next prefix that has the same sources gets a copy of them. Nothing is linked: what is edited
in one prefix reaches no other. A file of the cache begins with a code over its name and all of its
content (HMAC, RFC 2104), whose key lies outside of the caches; one that does not
agree with it, or that cannot be read, counts as not there: its package is compiled, and kept anew.
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH118
from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.machine.process import Say
from elt_env.project.cache_home import CacheHome, sealed, unsealed
from elt_env.python.bytecode import bytecode_path
from elt_env.python.compilation import COMPILER, compile_modules
from elt_env.runtime.files import sha256_of, writing
from elt_env.runtime.input_files import read_stored
from elt_env.store.last_use import mark_used

_WRITABLE, _PLAIN = 0o200, 0o666  # the modes that py_compile gives: those of the source


class BytecodeCache:
    """The bytecode in the caches of a project."""

    def __init__(self, caches: CacheHome) -> None:
        self._place = caches.path / "bytecode"
        self._caches = caches

    def compile(
        self, groups: Sequence[Sequence[str]], level: int, prefix: Prefix, limit: float, say: Say
    ) -> int:
        """Let every group of sources have bytecode; return how many of these have.

        Raises: as `compile_modules`.
        """
        secret = self._caches.secret()
        keyed = {_key_of(group, level, prefix): group for group in groups}
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

    def _take(self, key: str, level: int, prefix: Prefix, secret: bytes) -> int | None:
        """Write what is kept into a prefix; return of how many modules, None where nothing is."""
        path = self._place / key
        try:
            data = unsealed(key, read_stored(path), secret)
        except OSError:
            return None
        if data is None:
            return None
        mark_used(path)
        listed, _, rest = data.partition(b"\n")
        sizes: Mapping[str, int] = json.loads(listed)
        start = 0
        for source, size in sizes.items():
            target = _compiled(source, level, prefix)
            mode = os.stat(os.path.join(prefix.path, source)).st_mode  # noqa: PTH116
            _write(target, rest[start : start + size], (mode | _WRITABLE) & _PLAIN)
            start += size
        return len(sizes)

    def _keep(
        self, key: str, sources: Sequence[str], level: int, prefix: Prefix, secret: bytes
    ) -> None:
        """Keep the bytecode of modules; where that is not possible, it is compiled another time."""
        if not secret:
            return
        with contextlib.suppress(OSError):
            contents = [read_stored(Path(_compiled(each, level, prefix))) for each in sources]
            sizes = dict(zip(sources, map(len, contents), strict=True))
            data = json.dumps(sizes).encode() + b"\n" + b"".join(contents)
            _write(os.fspath(self._place / key), sealed(key, data, secret), _PLAIN)


def _key_of(group: Sequence[str], level: int, prefix: Prefix) -> str:
    """Return the hash of all that the bytecode of a group depends on."""
    sources = [(each, sha256_of(prefix.path / each)) for each in group]
    of_compiler = [prefix.interpreter_digest, sha256_of(COMPILER), level]
    return hashlib.sha256(json.dumps([of_compiler, sources]).encode()).hexdigest()


def _compiled(source: str, level: int, prefix: Prefix) -> str:
    tag = f"{prefix.bytecode_tag}.opt-{level}" if level else prefix.bytecode_tag
    return os.path.join(prefix.path, bytecode_path(source, tag))


def _write(path: str, data: bytes, mode: int) -> None:
    """Put a file in the place of whatever is there; what a disk loses of it, its code tells."""
    part = f"{path}.{os.getpid()}"
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(handle, "wb") as file:  # noqa: PTH123
        file.write(data)
    os.replace(part, path)  # noqa: PTH105
