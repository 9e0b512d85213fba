"""The files of a sealed prefix that another one has, of whose pip packages some are other ones.

Each file is of a package that both have, or of one that is gone, and never of both: else the
installers decided what is there, and decide again.
"""

from __future__ import annotations

import csv
import json
import posixpath
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from elt_env.machine.environment_variables import ACTIVATION
from elt_env.package.names import normalize
from elt_env.python.bytecode import is_cached, parse_bytecode

ACTIVATED = "etc/conda/"
"""Where what activation sets comes from."""
_CLOSED = "EXTERNALLY-MANAGED"


class UnfitError(Exception):
    """Something of the earlier prefix is not as it was sealed, or has no form for another one."""


def kept_files(
    files: AbstractSet[str], records: Mapping[str, bytes], site: str, packages: Mapping[str, bool]
) -> set[str]:
    """Return the files that stay when distributions of pip's are gone.

    Args:
        files: those of the sealed prefix, links included.
        records: by path RECORDs, those of pip's packages at least, and what is in conda-meta.
        site: the path of site-packages.
        packages: what pip installed, and whether it stays.

    Raises:
        UnfitError: nothing tells whose a file is, or it is of one that stays and of another one.
        ValueError: a record cannot be read.
    """
    owned = {True: {each for each in files if _is_own(each)} | _of_conda(records), False: set()}
    found = [path for path in records if _distribution(path, site) in packages]
    for path in found:
        owned[packages[_distribution(path, site)]].update(_recorded(records[path], site))
    if sorted(_distribution(path, site) for path in found) != sorted(packages):
        raise UnfitError("not every package of pip's has a RECORD")
    kept, lost = (_with_bytecode(files, owned[stays]) for stays in (True, False))
    strange = sorted(files - (kept ^ lost))
    if strange:
        raise UnfitError(f"{strange[0]} is of no package alone")
    return kept


def _recorded(record: bytes, site: str) -> set[str]:
    rows = csv.reader(record.decode().splitlines())
    return {posixpath.normpath(posixpath.join(site, row[0])) for row in rows if row}


def _distribution(path: str, site: str) -> str:
    """Return the name of the distribution that a RECORD is of; "" for another file."""
    directory, _, info = path.removesuffix("/RECORD").rpartition("/")
    is_one = path.endswith(".dist-info/RECORD") and directory == site
    return normalize(info.partition("-")[0]) if is_one else ""


def _of_conda(records: Mapping[str, bytes]) -> set[str]:
    return {
        each
        for path, content in records.items()
        if path.startswith("conda-meta/") and path.endswith(".json")
        for each in json.loads(content)["files"]
    }


def _is_own(path: str) -> bool:
    """Tell whether the build itself writes a file."""
    in_root = path in (ACTIVATION, "CACHEDIR.TAG") or path.startswith("conda-meta/")
    return in_root or posixpath.basename(path) == _CLOSED


def _with_bytecode(files: Iterable[str], owned: Collection[str]) -> set[str]:
    """Return the files that are owned, and bytecode of these that nobody owns."""
    found = set()
    for each in files:
        if each in owned:
            found.add(each)
        elif is_cached(each):
            bytecode = parse_bytecode(each)
            if bytecode and bytecode.source in owned:
                found.add(each)
    return found
