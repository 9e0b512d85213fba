"""Write a prefix's `conda-meta` so that conda finds there what it would have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from elt_env.environment import conda_history
from elt_env.environment.prefix import Prefix
from elt_env.runtime.files import sha256_of, write_atomically, writing

FROZEN = "conda-meta/frozen"
"""The file that closes a prefix to conda (CEP 22)."""

HISTORY = "conda-meta/history"
"""The file that says what was asked of conda, see elt_env.environment.conda_history."""

_MESSAGE = (
    "This environment ({target}) holds what its lock says and nothing else. "
    "To change it, edit the spec and run: elt-env build {target}"
)


def close_to_conda(prefix: Prefix) -> None:
    """Write what conda reads of a prefix that is complete, and close it to changes by conda.

    Raises:
        StorageError: it cannot be written.
    """
    message = {"message": _MESSAGE.format(target=prefix.lock.target.name)}
    write_atomically(prefix.path / FROZEN, json.dumps(message) + "\n")
    write_atomically(
        prefix.path / HISTORY, conda_history.render(prefix.lock, prefix.lock.locked_at)
    )
    with writing(prefix.path):
        for path, record in prefix.conda_records():
            _correct(path, record, prefix.path)


def _correct(path: Path, record: dict[str, Any], prefix: Path) -> None:
    """Let a record say of symbolic links what conda says, and everybody read it.

    Rattler notes the hash of a link's text, conda that of the file that it leads to.
    """
    entries: list[dict[str, Any]] = record.get("paths_data", {}).get("paths", [])
    links = [each for each in entries if each.get("path_type") == "softlink"]
    for entry in links:
        target = prefix / entry["_path"]
        entry.pop("sha256_in_prefix", None)
        if target.is_file():
            entry["sha256_in_prefix"] = sha256_of(target)
    if links:
        write_atomically(path, json.dumps(record, indent=2))
    path.chmod(0o644)
