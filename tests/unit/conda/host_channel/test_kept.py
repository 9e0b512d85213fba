from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from elt_env.conda.host_channel import HostChannel, KeptPackages
from elt_env.project.cache_home import CacheHome
from tests.support.said import Said
from tests.support.wheels import make_wheel

_DATE = datetime(2026, 1, 2, tzinfo=timezone.utc)


def _caches(root: Path) -> CacheHome:
    return CacheHome(root / "cache", root / "key", shared=True)


def _add(root: Path, name: str, wheel: Path, minor: str = "3.11") -> tuple[bytes, str]:
    """Return a wheel's package in a channel of a name, and what was said."""
    said = Said()
    channel = HostChannel(root / name, KeptPackages(_caches(root)))
    (package,) = channel.add_wheel(wheel, minor, _DATE, said)
    return package.read_bytes(), " ".join(said)


def test_what_one_channel_packed_another_takes(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", "1.0")
    packed, said = _add(tmp_path, "one", wheel)
    assert said.startswith("pack thing")
    taken, said = _add(tmp_path, "two", wheel)
    assert said.startswith("take thing")
    assert taken == packed
    other = make_wheel(tmp_path / "other", "thing", "1.0", requires=["more"])
    assert _add(tmp_path, "three", other)[1].startswith("pack thing")
    assert _add(tmp_path, "one", other)[0] != packed


def _edit(archive: Path, _: Path) -> None:
    with archive.open("ab") as file:
        file.write(b"more")


def _unsign(_: Path, note: Path) -> None:
    note.write_bytes(note.read_bytes()[:-1] + b"x")


def _of_another(_: Path, note: Path) -> None:
    shutil.copy(next(each for each in note.parent.iterdir() if each != note), note)


@pytest.mark.parametrize("harm", [_edit, _unsign, _of_another, lambda archive, _: archive.unlink()])
def test_what_was_harmed_is_packed_again(
    harm: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "thing", "1.0")
    packed, _ = _add(tmp_path, "one", wheel)
    (note,) = (tmp_path / "cache/sealed").iterdir()
    _add(tmp_path, "one", make_wheel(tmp_path, "other", "1.0"))
    (archive,) = (tmp_path / "cache/conda/archives").glob("*/thing-*")
    harm(archive, note)
    again, said = _add(tmp_path, "two", wheel)
    assert said.startswith("pack thing")
    assert again == packed
    assert _add(tmp_path, "three", wheel)[1].startswith("take thing")


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no directory")
    wheel = make_wheel(tmp_path, "thing", "1.0")
    for name in ("one", "two"):
        assert _add(tmp_path, name, wheel)[1].startswith("pack thing")
