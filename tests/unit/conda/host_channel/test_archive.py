from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from conda_package_streaming.package_streaming import stream_conda_component

from elt_env.conda.host_channel.archive import (
    PLACEHOLDER,
    Entry,
    PackageInfo,
    record_hash,
    write_package,
)

_INFO = PackageInfo(
    name="thing",
    version="1.0",
    build="0",
    subdir="linux-64",
    depends=("python >=3.11",),
    constrains=("other <2",),
    timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
    license="MIT",
)
_ENTRIES = (
    Entry("bin/python", link="python3.11"),
    Entry("bin/python3.11", b"\x7fELF", executable=True),
    Entry("lib/text", f"prefix={PLACEHOLDER}\n".encode()),
)


def _write(folder: Path, info: PackageInfo = _INFO, entries: tuple[Entry, ...] = _ENTRIES) -> Path:
    folder.mkdir()
    return write_package(info, entries, folder)


def _members(package: Path, component: str) -> dict[str, tuple[Any, bytes]]:
    found = {}
    with package.open("rb") as file:
        for archive, member in stream_conda_component(package.name, file, component):
            content = archive.extractfile(member) if member.isreg() else None
            found[member.name] = (member, content.read() if content else b"")
    return found


def _info(package: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_members(package, "info")[f"info/{name}"][1])
    return content


def test_the_same_content_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    one, other = _write(tmp_path / "one"), _write(tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()


def test_the_archive_shows_neither_when_nor_by_whom_it_was_made(tmp_path: Path) -> None:
    package = _write(tmp_path / "x")
    members = {**_members(package, "pkg"), **_members(package, "info")}
    dates = {member.mtime for member, _ in members.values()}
    owners = {(each.uid, each.gid, each.uname, each.gname) for each, _ in members.values()}
    assert dates == {1767323045}
    assert owners == {(0, 0, "", "")}
    with zipfile.ZipFile(package) as archive:
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_files_keep_content_mode_and_links(tmp_path: Path) -> None:
    members = _members(_write(tmp_path / "x"), "pkg")
    assert members["bin/python3.11"][1] == b"\x7fELF"
    assert members["bin/python3.11"][0].mode == 0o755
    assert members["lib/text"][0].mode == 0o644
    assert members["bin/python"][0].linkname == "python3.11"


def test_index_json_is_the_packages_record(tmp_path: Path) -> None:
    assert _info(_write(tmp_path / "x"), "index.json") == {
        "arch": "x86_64",
        "build": "0",
        "build_number": 0,
        "constrains": ["other <2"],
        "depends": ["python >=3.11"],
        "license": "MIT",
        "name": "thing",
        "platform": "linux",
        "subdir": "linux-64",
        "timestamp": 1767323045000,
        "version": "1.0",
    }


def test_paths_json_lists_every_file(tmp_path: Path) -> None:
    package = _write(tmp_path / "x")
    text = _ENTRIES[2].content
    elf = {"sha256": hashlib.sha256(b"\x7fELF").hexdigest(), "size_in_bytes": 4}
    assert _info(package, "paths.json") == {
        "paths": [
            {"_path": "bin/python", "path_type": "softlink", **elf},
            {"_path": "bin/python3.11", "path_type": "hardlink", **elf},
            {
                "_path": "lib/text",
                "path_type": "hardlink",
                "sha256": hashlib.sha256(text).hexdigest(),
                "size_in_bytes": len(text),
                "prefix_placeholder": PLACEHOLDER,
                "file_mode": "text",
            },
        ],
        "paths_version": 1,
    }
    files = _members(package, "info")["info/files"][1]
    assert files == b"bin/python\nbin/python3.11\nlib/text\n"


def test_a_noarch_python_package_has_its_entry_points(tmp_path: Path) -> None:
    info = PackageInfo(
        name="thing",
        version="1.0",
        build="py_0",
        subdir="noarch",
        noarch="python",
        entry_points=("thing = thing:main",),
    )
    package = _write(tmp_path / "x", info, ())
    assert _info(package, "link.json") == {
        "noarch": {"entry_points": ["thing = thing:main"], "type": "python"},
        "package_metadata_version": 1,
    }
    index = _info(package, "index.json")
    assert (index["arch"], index["platform"], index["noarch"]) == (None, None, "python")
    assert "timestamp" not in index


def test_a_package_without_a_date_is_the_same_every_day(tmp_path: Path) -> None:
    package = _write(tmp_path / "x", PackageInfo("thing", "1.0", "0", "noarch", "generic"))
    assert {each.mtime for each, _ in _members(package, "pkg").values()} == {315619200}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
        (b"x", "sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE"),
    ],
)
def test_hashes_are_written_as_record_wants_them(content: bytes, expected: str) -> None:
    assert record_hash(content) == expected
