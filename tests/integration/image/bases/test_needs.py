"""Which packages of the system an environment needs is asked once for the same native files."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.file_list import list_path
from elt_env.environment.prefix import Prefix
from elt_env.image.bases.needs import needed_packages
from elt_env.lockfile.document import Lock

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's"),
    pytest.mark.xdist_group("bases"),  # they share a built prefix
]

_PLANTED = ["planted"]


@pytest.fixture
def cache(prefix: Prefix, tmp_path: Path) -> Path:
    """What was found out for a prefix, each answer replaced by another one."""
    needed_packages(prefix, tmp_path, anew=False)
    for path in tmp_path.glob("needs-*.json"):
        path.write_text(json.dumps(_PLANTED))
    return tmp_path


def _moved(prefix: Prefix, place: Path) -> Prefix:
    """Return the prefix under another lock, at another place, with the list of its files."""
    changed: Lock = replace(prefix.lock, packages=prefix.lock.packages[:-1])
    shutil.copytree(prefix.path, place, symlinks=True)
    shutil.copy(list_path(prefix.path), list_path(place))
    return Prefix(place, changed)


def test_another_lock_with_the_same_native_files_has_the_same_needs(
    prefix: Prefix, cache: Path, tmp_path: Path
) -> None:
    moved = _moved(prefix, tmp_path / "moved")
    assert moved.lock.digest != prefix.lock.digest
    assert list(needed_packages(moved, cache, anew=False)) == _PLANTED
    assert list(needed_packages(moved, cache, anew=True)) != _PLANTED


@pytest.mark.parametrize("suffix", [".so", ".so.6"])
def test_another_library_is_looked_at(
    suffix: str, prefix: Prefix, cache: Path, tmp_path: Path
) -> None:
    moved = _moved(prefix, tmp_path / "moved")
    place = list_path(moved.path)
    content = json.loads(place.read_text())
    content["files"][f"lib/libnew{suffix}"] = f"644 {'0' * 64}"
    place.write_text(json.dumps(content))
    assert list(needed_packages(moved, cache, anew=False)) != _PLANTED
