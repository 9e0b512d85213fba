from __future__ import annotations

import base64
import csv
import hashlib
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from tests.support.wheels import make_sdist, make_wheel


def _read(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        make_wheel(
            tmp_path / place, "Some.Thing", "1.0", requires=["b>1"], entry_points={"a": "b:c"}
        )
        for place in ("one", "two")
    )
    assert first.read_bytes() == second.read_bytes()


def test_the_file_name_is_the_one_of_the_specification(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "Some-Thing.x", "1.0+local", tag="cp311-cp311-linux_x86_64")
    name, version, _, tags = parse_wheel_filename(wheel.name)
    assert (name, str(version)) == ("some-thing-x", "1.0+local")
    assert [str(tag) for tag in tags] == ["cp311-cp311-linux_x86_64"]
    assert "Root-Is-Purelib: false" in _read(wheel, "some_thing_x-1.0+local.dist-info/WHEEL")


def test_the_metadata_are_valid_and_say_what_was_asked(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "a",
        "2",
        requires=["b>=1"],
        requires_python=">=3.9",
        extras={"fast": ['c<2; python_version < "4"', "d"]},
    )
    metadata = Metadata.from_email(_read(wheel, "a-2.dist-info/METADATA"))
    assert str(metadata.requires_python) == ">=3.9"
    assert [str(each) for each in metadata.requires_dist or ()] == [
        "b>=1",
        'c<2; python_version < "4" and extra == "fast"',
        'd; extra == "fast"',
    ]
    assert metadata.provides_extra == ["fast"]


def test_the_record_lists_every_file_with_its_hash(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1", files={"a.py": "x = 1\n", "data/b.bin": b"\0"})
    rows = {
        row[0]: row[1:] for row in csv.reader(_read(wheel, "a-1.dist-info/RECORD").splitlines())
    }
    with zipfile.ZipFile(wheel) as archive:
        assert set(rows) == set(archive.namelist())
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"x = 1\n").digest()).rstrip(b"=").decode()
    assert rows["a.py"] == [f"sha256={digest}", "6"]
    assert rows["a-1.dist-info/RECORD"] == ["", ""]


def test_entry_points_become_console_scripts(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1", entry_points={"run-a": "a:main"})
    assert _read(wheel, "a-1.dist-info/entry_points.txt") == "[console_scripts]\nrun-a = a:main\n"


def test_an_sdist_has_the_name_of_the_specification(tmp_path: Path) -> None:
    name, version = parse_sdist_filename(make_sdist(tmp_path, "Some.Thing", "1.0").name)
    assert (name, str(version)) == ("some-thing", "1.0")


@pytest.mark.parametrize("name", ["b", "B.b"])
def test_without_files_a_wheel_holds_a_package_that_knows_its_version(
    tmp_path: Path, name: str
) -> None:
    wheel = make_wheel(tmp_path, name, "3.1")
    package = wheel.name.partition("-")[0]
    assert _read(wheel, f"{package}/__init__.py") == '__version__ = "3.1"\n'
