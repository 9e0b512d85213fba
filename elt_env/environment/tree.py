"""Compare two prefixes of one lock with each other."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from elt_env.environment.prefix import MARKER
from elt_env.runtime.input_files import read_content

_RECORDS = re.compile(r"(^|/)[^/]+\.dist-info/RECORD$")
_SKIPPED_DIRECTORIES = ("__pycache__",)


def differences(first: Path, second: Path) -> list[str]:
    """Return a line about every file that `differing` finds."""
    return [f"{path} {how}" for path, how in differing(first, second)]


def differing(first: Path, second: Path) -> list[tuple[str, str]]:
    """Return every file that one of two prefixes lacks, or that differs, and how; sorted.

    The paths of the two have the same length, and stand for the same wherever a file holds one.
    What may differ: compiled modules; in RECORD, the hashes of what holds the path (PEP 376's
    successor asks for the hash of the installed file); in conda-meta, when and how it was linked.

    Args:
        first: the prefix in question.
        second: the same, built again.
    """
    mine, other = set(_files(first)), set(_files(second))
    found = [(each, "is not there when it is built again") for each in mine - other]
    found += [(each, "is there only when it is built again") for each in other - mine]
    found += [(each, "differs") for each in mine & other if _differ(each, first, second)]
    return sorted(found)


def _files(root: Path) -> Iterator[str]:
    for directory, names, files in os.walk(root):
        names[:] = [each for each in names if each not in _SKIPPED_DIRECTORIES]
        place = Path(directory)
        links = [each for each in names if (place / each).is_symlink()]
        for name in (*files, *links):
            path = os.path.relpath(place / name, root)
            if path != MARKER:
                yield path


def _differ(path: str, first: Path, second: Path) -> bool:
    one, two = first / path, second / path
    if one.is_symlink() or two.is_symlink():
        return _target(one, first) != _target(two, second)
    if one.stat().st_mode != two.stat().st_mode:
        return True
    # One file is the other when both are links into the cache.
    return not one.samefile(two) and _differ_in_content(path, first, second)


def _differ_in_content(path: str, first: Path, second: Path) -> bool:
    left = read_content(first / path)
    right = read_content(second / path).replace(os.fsencode(second), os.fsencode(first))
    if _RECORDS.search(path):
        return _rows(left) != _rows(right)
    if path.startswith("conda-meta/") and path.endswith(".json"):
        return _record(left) != _record(right)
    return left != right


def _target(path: Path, root: Path) -> str | None:
    return str(path.readlink()).replace(str(root), "") if path.is_symlink() else None


def _rows(content: bytes) -> list[str]:
    """Return the rows of a RECORD, those of programs, whose first line has the path, bare."""
    lines = content.decode().splitlines()
    return sorted(line.partition(",")[0] if "/bin/" in line else line for line in lines)


def _record(content: bytes) -> dict[str, object]:
    record = json.loads(content)
    for volatile in ("link", "extracted_package_dir", "package_tarball_full_path"):
        record.pop(volatile, None)
    for each in record.get("paths_data", {}).get("paths", ()):
        each.pop("sha256_in_prefix", None)  # of what holds the path
        if each.get("path_type") == "unix_python_entry_point":
            each.pop("sha256", None)  # the same, of what is written when it is linked
    return dict(record)
