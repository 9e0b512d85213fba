"""The key that evidence is signed with: in a file or a variable, never in the store."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from elt_env.errors import PolicyError
from elt_env.package.names import REFERENCE
from elt_env.runtime.input_files import cause, read_bytes
from elt_env.runtime.masking import remember

_SHORTEST = 32  # bytes; RFC 2104, section 3, wants as many as the hash has
_LARGEST = 1 << 16  # bytes
_MAKE = "python3 -c 'import secrets; print(secrets.token_hex(32))'"


def read_evidence_key(setting: str | None, root: Path, home: Path) -> bytes | None:
    """Return the key that the policy's `evidence-key` names; None where it names none.

    From now on it is masked in all that this process shows, logs or stores.

    Args:
        setting: the path of a file, relative to the project, or `${NAME}`.
        root: the project's directory.
        home: the store, in which the key must not be.

    Raises:
        PolicyError: it is not there, too short, in the store, or everybody can read it.
    """
    if not setting:
        return None
    variable = REFERENCE.fullmatch(setting)
    key = _of_variable(variable["name"]) if variable else _of_file(setting, root, home)
    if len(key) < _SHORTEST:
        raise PolicyError(
            f"The evidence-key {setting} has {len(key)} bytes; {_SHORTEST} are the least.",
            f"Make one: {_MAKE}",
        )
    remember(key.decode("utf-8", "replace"))
    return key


def _of_variable(name: str) -> bytes:
    value = os.environ.get(name)
    if not value:
        raise PolicyError(
            f"evidence-key names the variable {name}, which is not set.",
            "Set it wherever checks run and releases are promoted, or correct 'evidence-key' in "
            f"[tool.elt-env]. A key is made with: {_MAKE}",
        )
    return value.strip().encode()


def _of_file(setting: str, root: Path, home: Path) -> bytes:
    try:
        path = (root / Path(setting).expanduser()).resolve()
    except RuntimeError:  # the home of a user who is not there
        path = root / setting
    if path.is_relative_to(home.resolve()):
        raise PolicyError(
            f"The evidence-key {path} is in the store, whose writers it is to keep out.",
            "Move it elsewhere, and correct 'evidence-key' in [tool.elt-env].",
        )
    try:
        content = read_bytes(path, _LARGEST)
        mode = path.stat().st_mode
    except OSError as error:
        raise PolicyError(
            f"The evidence-key {path} cannot be read: {cause(error)}.",
            f"Make one: (umask 077; {_MAKE} > {path}); or correct 'evidence-key' in "
            "[tool.elt-env].",
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise PolicyError(
            f"The evidence-key {path} can be read or written by every user of this machine.",
            f"Change that, and make another key if there are others: chmod 600 {path}",
        )
    return content.strip()
