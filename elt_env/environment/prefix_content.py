"""Compare what a prefix holds with its lock."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError, ProofError
from elt_env.python.bytecode import is_cached
from elt_env.runtime.file_hashes import HashOf
from elt_env.runtime.files import sha256_of
from elt_env.runtime.texts import first_of

_NAMED = 10


def require_installed_is_locked(prefix: Prefix) -> None:
    """Return when the installed distributions are those of the lock, version for version.

    Raises:
        IntegrityError: one is missing, extra, twice there, or of another version.
    """
    wanted = prefix.lock.distributions
    found: dict[str, list[str]] = {}
    for each in prefix.distributions():
        found.setdefault(each.name, []).append(each.version or "without a version")
    faults = [
        f"{name}: locked {wanted.get(name, 'not at all')}, "
        f"installed {', '.join(found.get(name, ['not at all']))}"
        for name in sorted(wanted.keys() | found.keys())
        if not _same(wanted.get(name), found.get(name, []))
    ]
    if faults:
        raise _not_as_locked(prefix, faults)


def _same(wanted: str | None, found: list[str]) -> bool:
    if wanted is None or len(found) != 1:
        return False
    try:
        return Version(wanted) == Version(found[0])
    except InvalidVersion:  # conda owns some that no PEP 440 version describes
        return wanted == found[0]


@dataclass(frozen=True)
class _File:
    """A file that is not as conda linked it."""

    path: str
    package: str
    fault: str

    def __str__(self) -> str:
        return f"{self.path} of conda's {self.package} {self.fault}"


def require_conda_untouched(prefix: Prefix, hash_of: HashOf = sha256_of) -> None:
    """Return when conda's packages are those of the lock, and every file is as conda linked it.

    But for bytecode: it is derived, and linking itself can make it stale.

    Raises:
        IntegrityError: a package is missing or extra, or a file is gone or was changed; where pip
            installed a file of that name, its distribution is named.
    """
    found = [record for _, record in prefix.conda_records()]
    records = {f"{each['name']} {each['version']} {each['build']}": each for each in found}
    wanted = {f"{each.name} {each.version} {each.build}" for each in prefix.lock.conda}
    faults = [f"conda's {each} is not installed" for each in sorted(wanted - records.keys())]
    faults += [f"conda's {each} is not in the lock" for each in sorted(records.keys() - wanted)]
    if faults:
        raise _not_as_locked(prefix, faults)
    changed = [
        file for record in records.values() for file in changed_files(prefix, record, hash_of)
    ]
    if changed:
        raise _conda_changed(prefix, changed)


def changed_files(
    prefix: Prefix, record: Mapping[str, Any], hash_of: HashOf = sha256_of
) -> Iterator[_File]:
    """Yield the files of a record of conda-meta that are gone, or are not as conda linked them."""
    for entry in record.get("paths_data", {}).get("paths", []):
        if is_cached(entry["_path"]):
            continue
        fault = _fault(prefix.path / entry["_path"], entry, hash_of)
        if fault:
            yield _File(entry["_path"], record["name"], fault)


def _fault(path: Path, entry: Mapping[str, Any], hash_of: HashOf) -> str | None:
    is_link = entry.get("path_type") == "softlink"
    if not (path.is_symlink() if is_link else path.is_file()):
        return "is gone"
    if path.is_symlink() is not is_link:
        return "was changed"
    wanted = entry.get("sha256_in_prefix") or (None if is_link else entry.get("sha256"))
    return "was changed" if wanted and wanted not in _sha256(path, hash_of) else None


def _sha256(path: Path, hash_of: HashOf) -> set[str]:
    """Return the hash of a file's content; of a link, that of its text as well.

    Rattler records the latter, and conda, as in a prefix that is sealed, the former.
    """
    found = {hash_of(path)} if path.is_file() else set()
    if path.is_symlink():
        found.add(hashlib.sha256(os.fsencode(path.readlink())).hexdigest())
    return found


def _conda_changed(prefix: Prefix, changed: list[_File]) -> IntegrityError:
    owners = _pip_owners(prefix, {each.path for each in changed})
    lines = [
        f"{each}: {owners[each.path]} of pip brings it too" if each.path in owners else str(each)
        for each in changed
    ]
    if not owners:
        return _not_as_locked(prefix, lines)
    conda = ", ".join(sorted({each.package for each in changed if each.path in owners}))
    pip = ", ".join(sorted(set(owners.values())))
    return _not_as_locked(
        prefix,
        lines,
        f"Change the spec so that only one of the two is needed, conda's {conda} or pip's {pip}; "
        f"who needs them: elt-env show {prefix.lock.target.name} --packages",
    )


def _pip_owners(prefix: Prefix, paths: set[str]) -> dict[str, str]:
    """Return the distribution that pip installed, for those of `paths` that one recorded."""
    mine = {each.name for each in prefix.lock.pip}
    found = {}
    for distribution in prefix.distributions():
        for file in distribution.files if distribution.name in mine else ():
            path = os.path.relpath(prefix.site_packages / file, prefix.path)
            if path in paths:
                found[path] = distribution.name
    return found


def _not_as_locked(
    prefix: Prefix, faults: Sequence[str], remedy: str | None = None
) -> IntegrityError:
    return IntegrityError(
        f"The prefix {prefix.path} is not what the lock says:\n  {listed(faults)}",
        remedy or f"Build it again: elt-env build {prefix.lock.target.name}",
    )


def unfit(prefix: Prefix, faults: Iterable[str]) -> ProofError:
    """Return the error for distributions that miss something of each other."""
    name = prefix.lock.target.name
    return ProofError(
        f"The packages of the lock {prefix.lock.digest} do not fit together:\n"
        f"  {listed(list(faults))}",
        f"Make a new lock: elt-env relock {name}; if it has the same fault, ask in the spec for "
        "another version, or for what is missing.",
    )


def listed(faults: Sequence[str]) -> str:
    """Return the first of `faults`, and how many more there are."""
    return first_of(faults, _NAMED, "\n  ")
