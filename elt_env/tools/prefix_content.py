"""Whether a prefix holds what its lock says."""

from __future__ import annotations

import json
from pathlib import Path

from packaging.version import Version

from elt_env.errors import IntegrityError
from elt_env.tools.files import sha256_of
from elt_env.tools.prefix import Prefix

_NAMED = 10


def require_installed_is_locked(prefix: Prefix) -> None:
    """Return when the installed distributions are those of the lock, version for version.

    Raises:
        IntegrityError: one is missing, extra, twice there, or of another version.
    """
    wanted = prefix.lock.distributions
    found = prefix.installed()
    faults = [
        f"{name}: locked {wanted.get(name, 'not at all')}, "
        f"installed {', '.join(found.get(name, ['not at all']))}"
        for name in sorted(wanted.keys() | found.keys())
        if not _same(wanted.get(name), found.get(name, []))
    ]
    if faults:
        raise not_as_locked(prefix, faults)


def _same(wanted: str | None, found: list[str]) -> bool:
    return wanted is not None and len(found) == 1 and Version(wanted) == Version(found[0])


def require_conda_untouched(prefix: Prefix) -> None:
    """Return when every file of a conda package is as conda linked it.

    Raises:
        IntegrityError: one is gone or was changed.
    """
    faults = []
    for record in sorted((prefix.path / "conda-meta").glob("*.json")):
        content = json.loads(record.read_text(encoding="utf-8"))
        for entry in content.get("paths_data", {}).get("paths", []):
            fault = _fault(prefix.path / entry["_path"], entry)
            if fault:
                faults.append(f"{entry['_path']} of conda's {content['name']} {fault}")
    if faults:
        raise not_as_locked(prefix, faults)


def _fault(path: Path, entry: dict[str, object]) -> str | None:
    if path.is_symlink():
        return None
    if not path.is_file():
        return "is gone"
    wanted = entry.get("sha256_in_prefix") or entry.get("sha256")
    if wanted and sha256_of(path) != wanted:
        return "was changed"
    return None


def not_as_locked(prefix: Prefix, faults: list[str]) -> IntegrityError:
    """Return the error that names the first of `faults`, and how many more there are."""
    more = f"\n  and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    listed = "\n  ".join(faults[:_NAMED])
    return IntegrityError(
        f"The prefix {prefix.path} is not what the lock says:\n  {listed}{more}",
        f"Build it again: elt-env build {prefix.lock.target.name}",
    )
