"""Where caches are: in one place for all projects of a user, or in a project's own store."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.errors import StorageError
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import cause, read_stored

USER, STORE = "user", "store"
_NAME = "elt-env"
_KEY_SIZE = _CODE = hashlib.sha256().digest_size
_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_CACHE, _STATE = ("XDG_CACHE_HOME", ".cache"), ("XDG_STATE_HOME", ".local/state")


@dataclass(frozen=True)
class CacheHome:
    """The caches that a project uses.

    Attributes:
        path: their directory.
        key: the file with the key that kept bytecode and bases are signed with; outside of `path`.
        shared: whether other projects use them as well.
        why: why they are in the store against the policy's word; "" where they are not.
    """

    path: Path
    key: Path
    shared: bool = False
    why: str = ""

    def secret(self) -> bytes:
        """Return what entries are signed with, made where there is none; b"" where none can be."""
        try:
            return read_stored(self.key)
        except FileNotFoundError:
            secret = secrets.token_bytes(_KEY_SIZE)
        except OSError:
            return b""
        try:
            write_atomically(self.key, secret, 0o600)
        except StorageError:
            return b""
        return secret

    def read(self, entry: Path) -> bytes | None:
        """Return the content of an entry; None where it was not kept here under its name."""
        try:
            return unsealed(entry.name, read_stored(entry), self.secret())
        except OSError:
            return None

    def keep(self, entry: Path, data: bytes) -> None:
        """Write an entry, where that is possible."""
        secret = self.secret()
        if secret:
            with contextlib.suppress(StorageError):
                write_atomically(entry, sealed(entry.name, data, secret))


def find_cache_home(
    setting: str, root: Path, store: Path, environ: Mapping[str, str] | None = None
) -> CacheHome:
    """Return the caches that the policy's `cache-home` names, their directory made.

    A directory that somebody else could write is not used, and neither is one that this user
    cannot write: the store's own takes its place.

    Args:
        setting: `user`, `store`, or a directory.
        root: what it is relative to.
        store: the directory of the project's store.
        environ: the variables of this process by default.
    """
    own = CacheHome(store / "cache", store / "bytecode.key")
    if setting == STORE:
        return own
    environ = os.environ if environ is None else environ
    try:
        place = user_cache(environ) if setting == USER else root / Path(setting).expanduser()
        key = _user_directory(_STATE, environ) / "cache.key"
    except RuntimeError:
        return replace(own, why="there is no home directory of this user")
    place = Path(os.path.realpath(place))
    if Path(os.path.realpath(key)).is_relative_to(place):
        return replace(own, why=f"the key of its entries, {key}, would lie in {place}")
    fault = make_private(place) or make_private(key.parent)
    return replace(own, why=fault) if fault else CacheHome(place, key, shared=True)


def user_cache(environ: Mapping[str, str]) -> Path:
    """Return where caches of this user are kept (XDG Base Directory Specification 0.8).

    Raises:
        RuntimeError: this user has no home directory.
    """
    return _user_directory(_CACHE, environ)


def _user_directory(kind: tuple[str, str], environ: Mapping[str, str]) -> Path:
    variable, below = kind
    named = environ.get(variable, "")
    # "All paths must be absolute. If … a relative path … should consider the path invalid".
    if os.path.isabs(named):  # noqa: PTH117  # "" as well
        return Path(named) / _NAME
    return Path(environ.get("HOME") or Path.home()) / below / _NAME


def sealed(name: str, data: bytes, secret: bytes) -> bytes:
    """Return an entry of a cache: a code over its name and content (HMAC, RFC 2104), and these."""
    return _code(name, data, secret) + data


def unsealed(name: str, entry: bytes, secret: bytes) -> bytes | None:
    """Return the content of an entry; None where it is not as whoever has the secret wrote it."""
    data = entry[_CODE:]
    good = secret and hmac.compare_digest(entry[:_CODE], _code(name, data, secret))
    return data if good else None


def _code(name: str, data: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, name.encode() + data, "sha256")


def make_private(directory: Path) -> str:
    """Make a directory that nobody else enters; return why an entry in it proves nothing, or ""."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.stat()
    except OSError as error:
        return f"{directory} cannot be made: {cause(error)}"
    if found.st_uid != os.geteuid():
        return f"{directory} belongs to another user"
    if found.st_mode & _OF_OTHERS:
        return f"{directory} can be written by others; to use it: chmod go-w {directory}"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} is not writable"
    return ""
