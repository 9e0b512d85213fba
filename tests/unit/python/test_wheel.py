from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.python.wheel import open_wheel
from tests.support.wheels import make_wheel

_METADATA = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
_INFO = "thing-1.0.dist-info"


def _zip(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_wheel_is_known_by_its_metadata(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "Some.Thing",
        "1.0.RC1",
        requires=["six>=1"],
        requires_python=">=3.9",
        entry_points={"thing": "some_thing:main"},
    )
    with open_wheel(path) as wheel:
        assert (wheel.name, wheel.version) == ("some-thing", "1.0rc1")
        assert wheel.metadata["requires_dist"] == ["six>=1"]
        assert wheel.dist_info == "some_thing-1.0.RC1.dist-info"
        assert [str(each) for each in wheel.entry_points] == ["thing = some_thing:main"]
        assert wheel.read(wheel.files[0])


@pytest.mark.parametrize(
    ("files", "cause"),
    [
        ({"thing.py": ""}, "0 directories thing-*.dist-info"),
        (
            {f"{_INFO}/METADATA": _METADATA, "Thing-2.dist-info/METADATA": _METADATA},
            "2 directories",
        ),
        ({f"{_INFO}/RECORD": ""}, "no thing-1.0.dist-info/METADATA"),
        ({f"{_INFO}/METADATA": "Name: other\nVersion: 1.0\n"}, "of 'other'"),
        ({f"{_INFO}/METADATA": "Name: thing\nVersion: one\n"}, "'one'"),
        ({f"{_INFO}/METADATA": _METADATA, "../x": ""}, "outside of the prefix"),
        ({f"{_INFO}/METADATA": _METADATA, "/x": ""}, "outside of the prefix"),
        ({f"{_INFO}/METADATA": b"Name: thing\xff\n"}, "utf-8"),
        (
            {f"{_INFO}/METADATA": _METADATA, f"{_INFO}/entry_points.txt": "nonsense"},
            "no section headers",
        ),
    ],
)
def test_what_is_not_a_wheel_is_refused(
    tmp_path: Path, files: Mapping[str, str | bytes], cause: str
) -> None:
    path = _zip(tmp_path / "thing-1.0-py3-none-any.whl", files)
    with pytest.raises(IntegrityError) as caught, open_wheel(path):
        pass
    assert cause in caught.value.problem
    assert str(path) in caught.value.problem


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04"])
def test_what_is_not_a_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="not a usable wheel"), open_wheel(path):
        pass


def test_a_name_without_tags_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "thing.whl", {})
    with pytest.raises(IntegrityError, match="not a usable wheel"), open_wheel(path):
        pass


def test_damage_inside_is_found_when_the_file_is_read(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "thing", "1.0", files={"thing.py": "a" * 1000})
    path.write_bytes(path.read_bytes().replace(b"aaa", b"bbb", 1))
    with pytest.raises(IntegrityError, match="CRC"), open_wheel(path) as wheel:
        [wheel.read(member) for member in wheel.files]
