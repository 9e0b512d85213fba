from __future__ import annotations

import errno
import json
import logging
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

import pytest

from elt_env.conda.host_channel import HostChannel
from elt_env.errors import IntegrityError, StorageError
from tests.support.said import Said
from tests.support.wheels import make_wheel

_DATE = datetime(2026, 1, 2, tzinfo=timezone.utc)


def _silent(line: str, level: int = logging.INFO, /) -> None:
    del line, level


def _indexed(root: Path) -> dict[str, dict[str, Any]]:
    repodata = json.loads((root / "noarch/repodata.json").read_text())
    records: dict[str, dict[str, Any]] = repodata["packages.conda"]
    return records


def _left_over(root: Path) -> list[Path]:
    return [each for each in root.rglob("*") if ".making" in each.parts]


def test_the_url_is_a_file_url_that_survives_spaces(tmp_path: Path) -> None:
    assert HostChannel(tmp_path / "a b").url == tmp_path.as_uri() + "/a%20b"


def test_a_wheel_is_added_once(tmp_path: Path) -> None:
    said = Said()
    host = HostChannel(tmp_path / "channel")
    wheel = make_wheel(tmp_path, "thing", "1.0")
    (package,) = host.add_wheel(wheel, "3.11", _DATE, said)
    made = package.stat().st_mtime_ns
    assert host.add_wheel(wheel, "3.11", _DATE, said) == [package]
    assert package.stat().st_mtime_ns == made
    assert said == [f"pack thing 1.0 as noarch/{package.name}"]


def test_two_channels_hold_the_same_bytes(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", "1.0")
    (one,) = HostChannel(tmp_path / "one").add_wheel(wheel, "3.11", _DATE, _silent)
    (other,) = HostChannel(tmp_path / "another place").add_wheel(wheel, "3.12", _DATE, _silent)
    assert one.name == other.name
    assert one.read_bytes() == other.read_bytes()


def test_the_index_is_written_when_something_changed(tmp_path: Path) -> None:
    said = Said()
    host = HostChannel(tmp_path / "channel")
    host.index(said)
    assert _indexed(tmp_path / "channel") == {}
    (package,) = host.add_wheel(make_wheel(tmp_path, "thing", "1.0"), "3.11", _DATE, _silent)
    host.index(said)
    host.index(said)
    assert len(said) == 2
    record = _indexed(tmp_path / "channel")[package.name]
    assert record["timestamp"] == 1767312000000
    assert record["depends"] == ["python"]


def test_a_removed_package_leaves_the_index(tmp_path: Path) -> None:
    host = HostChannel(tmp_path / "channel")
    (package,) = host.add_wheel(make_wheel(tmp_path, "thing", "1.0"), "3.11", _DATE, _silent)
    host.index(_silent)
    package.unlink()
    host.index(_silent)
    assert _indexed(tmp_path / "channel") == {}


def test_a_damaged_package_is_made_again(tmp_path: Path) -> None:
    host = HostChannel(tmp_path / "channel")
    wheel = make_wheel(tmp_path, "thing", "1.0")
    (package,) = host.add_wheel(wheel, "3.11", _DATE, _silent)
    whole = package.read_bytes()
    package.write_bytes(whole[: len(whole) // 2])
    assert host.add_wheel(wheel, "3.11", _DATE, _silent)[0].read_bytes() == whole


def test_a_damaged_package_does_not_stop_the_index(tmp_path: Path) -> None:
    said = Said()
    host = HostChannel(tmp_path / "channel")
    (good,) = host.add_wheel(make_wheel(tmp_path, "good", "1.0"), "3.11", _DATE, _silent)
    (bad,) = host.add_wheel(make_wheel(tmp_path, "bad", "1.0"), "3.11", _DATE, _silent)
    bad.write_bytes(b"")
    host.index(said)
    assert said[0] == f"remove {bad}, which is damaged"
    assert list(_indexed(tmp_path / "channel")) == [good.name]


def test_a_package_of_another_size_is_indexed_anew(tmp_path: Path) -> None:
    host = HostChannel(tmp_path / "channel")
    (package,) = host.add_wheel(make_wheel(tmp_path, "thing", "1.0"), "3.11", _DATE, _silent)
    host.index(_silent)
    (other,) = HostChannel(tmp_path / "other").add_wheel(
        make_wheel(tmp_path, "thing", "1.0", files={"x.py": "x" * 5000}), "3.11", None, _silent
    )
    package.write_bytes(other.read_bytes())
    host.index(_silent)
    record = _indexed(tmp_path / "channel")[package.name]
    assert record["size"] == other.stat().st_size


def test_a_broken_wheel_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "channel"
    wheel = make_wheel(tmp_path, "thing", "1.0", files={"thing.py": "a" * 1000})
    wheel.write_bytes(wheel.read_bytes().replace(b"aaa", b"bbb", 1))
    with pytest.raises(IntegrityError):
        HostChannel(root).add_wheel(wheel, "3.11", _DATE, _silent)
    assert list((root / "noarch").iterdir()) == []
    assert _left_over(root) == []


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.ENOSPC, "No space left"), (errno.EACCES, "cannot be written")],
)
def test_a_disk_that_refuses_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, problem: str
) -> None:
    def refuse(handle: int) -> NoReturn:
        del handle
        raise OSError(number, os.strerror(number))

    root = tmp_path / "channel"
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=problem):
        HostChannel(root).add_wheel(make_wheel(tmp_path, "thing", "1.0"), "3.11", _DATE, _silent)
    assert list((root / "noarch").iterdir()) == []
    assert _left_over(root) == []


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    root = tmp_path / "channel"
    (root / ".making/parts").mkdir(parents=True)
    (root / ".making/thing-1.0-py_0.conda").write_bytes(b"half")
    HostChannel(root).add_wheel(make_wheel(tmp_path, "thing", "1.0"), "3.11", _DATE, _silent)
    assert _left_over(root) == []
