"""Scratch directories: their owner has them alone, and they go when it is gone."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest

from elt_env.machine.scratch import scratch_directory, sweep_scratch


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files, this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def let_be_old(path: Path) -> None:
    then = time.time() - 3600.0
    os.utime(path, (then, then))


def test_it_is_this_user_s_alone_and_gone_after_the_block(place: Path) -> None:
    with scratch_directory("uv") as path:
        assert path.parent == place
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "file").touch()
    assert not [*place.iterdir()]


def test_it_goes_when_the_block_raises(place: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_directory("uv"):
        raise KeyboardInterrupt
    assert not [*place.iterdir()]


def test_one_that_is_in_use_stays_however_old_and_one_of_the_dead_goes(place: Path) -> None:
    dead = place / "elt-env-scratch-uv-abcdefgh"
    (dead / "below").mkdir(parents=True)
    (dead / "below" / "file").touch()
    other = place / "elt-env-other"
    other.mkdir()
    with scratch_directory("uv") as path:
        for each in (dead, other, path):
            let_be_old(each)
        sweep_scratch()
        assert not dead.exists()
        assert path.exists()
    assert [*place.iterdir()] == [other]


def test_one_that_was_made_a_moment_ago_stays_and_no_link_is_followed(
    place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    new = place / "elt-env-scratch-uv-abcdefgh"
    new.mkdir()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    let_be_old(elsewhere)
    link = place / "elt-env-scratch-uv-bcdefghi"
    link.symlink_to(elsewhere)
    os.utime(link, (0.0, 0.0), follow_symlinks=False)
    sweep_scratch()
    assert new.exists()
    assert (elsewhere / "file").exists()
