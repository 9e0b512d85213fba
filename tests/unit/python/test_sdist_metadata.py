"""What an sdist says of itself is taken where all of its wheels need the same (PEP 643)."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from elt_env.python.sdist_metadata import read_sdist_metadata
from tests.support.wheels import make_sdist


def _sdist(directory: Path, info: str, member: str = "tool-1.0/PKG-INFO") -> Path:
    path = directory / "tool-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (("tool-1.0/egg/PKG-INFO", "Name: other\n"), (member, info)):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_what_every_wheel_of_it_needs(tmp_path: Path) -> None:
    found = read_sdist_metadata(make_sdist(tmp_path, "tool", "1.0", requires=("lib>=1",)))
    assert found is not None
    assert "Requires-Dist: lib>=1" in found


@pytest.mark.parametrize(
    "info",
    [
        "Metadata-Version: 2.1\nName: tool\nVersion: 1.0\nRequires-Dist: lib\n",
        "Metadata-Version: 2.4\nName: tool\nVersion: 1.0\nDynamic: Requires-Dist\n",
        "Metadata-Version: new\nName: tool\n",
        "",
    ],
)
def test_what_its_wheels_may_need_otherwise(info: str, tmp_path: Path) -> None:
    assert read_sdist_metadata(_sdist(tmp_path, info)) is None


def test_what_has_none(tmp_path: Path) -> None:
    deep = "Metadata-Version: 2.4\nName: tool\n"
    assert read_sdist_metadata(_sdist(tmp_path, deep, "tool-1.0/src/PKG-INFO")) is None
    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes(make_sdist(tmp_path, "tool", "1.0").read_bytes()[:60])
    assert read_sdist_metadata(damaged) is None
    assert read_sdist_metadata(tmp_path / "lost.tar.gz") is None
