from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from elt_env.environment.scratch_dir import ScratchDir, scratch_dir
from elt_env.errors import StorageError

_DIGEST = "sha256:" + "ab" * 32
_DAY = 24 * 3600


def _places(home: Path) -> list[Path]:
    return sorted((home / "work").glob("*/*"))


def test_it_is_gone_after_success(tmp_path: Path) -> None:
    with scratch_dir(tmp_path, _DIGEST) as place:
        assert place.path.parent == tmp_path / "work" / ("ab" * 6)
        (place.directory("data") / "file").write_text("x")
    assert _places(tmp_path) == []


def test_two_have_nothing_in_common(tmp_path: Path) -> None:
    with scratch_dir(tmp_path, _DIGEST) as one, scratch_dir(tmp_path, _DIGEST) as other:
        assert one.path != other.path


def test_it_stays_when_it_is_to_be_kept(tmp_path: Path) -> None:
    with scratch_dir(tmp_path, _DIGEST) as place:
        place.kept = True
    assert _places(tmp_path) == [place.path]


def _interrupted(home: Path) -> None:
    with scratch_dir(home, _DIGEST):
        raise KeyboardInterrupt


def test_it_stays_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path)
    assert len(_places(tmp_path)) == 1


def test_what_was_kept_long_ago_is_removed(tmp_path: Path) -> None:
    old, young = (tmp_path / "work" / "digest" / name for name in ("old", "young"))
    for path, age in ((old, 4 * _DAY), (young, 2 * _DAY)):
        path.mkdir(parents=True)
        moment = time.time() - age
        os.utime(path, (moment, moment))
    with scratch_dir(tmp_path, _DIGEST):
        assert _places(tmp_path / "nowhere") == []
    assert _places(tmp_path) == [young]


def test_a_copy_leaves_out_what_tools_left_behind(tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    for name in ("models/a.sql", "target/manifest.json", "logs/dbt.log", ".user.yml", "x.duckdb"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    copied = ScratchDir(tmp_path).directory("place")
    copy = ScratchDir(copied).copy_of(project)
    assert [str(each.relative_to(copy)) for each in sorted(copy.rglob("*"))] == [
        "models",
        "models/a.sql",
    ]


def test_a_store_that_cannot_be_written_is_named(unwritable: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"), scratch_dir(unwritable, _DIGEST):
        pass
