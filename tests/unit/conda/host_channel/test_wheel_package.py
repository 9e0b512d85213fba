from __future__ import annotations

import csv
import platform
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.conda.host_channel.archive import Entry, PackageInfo, record_hash
from elt_env.conda.host_channel.wheel_package import describe, describe_extra, entries
from elt_env.errors import IntegrityError
from elt_env.python.wheel import open_wheel
from tests.support.wheels import make_wheel

_BINARY = f"cp311-cp311-linux_{platform.machine()}"
_DATE = datetime(2026, 1, 2, tzinfo=timezone.utc)


def _describe(path: Path, minor: str = "3.11", date: datetime | None = _DATE) -> PackageInfo:
    with open_wheel(path) as wheel:
        return describe(wheel, minor, "linux-64", date)


def _entries(path: Path) -> dict[str, Entry]:
    with open_wheel(path) as wheel:
        info = describe(wheel, "3.11", "linux-64", _DATE)
        return {entry.path: entry for entry in entries(wheel, info, "3.11")}


def _record(entry: Entry) -> dict[str, tuple[str, str]]:
    rows = csv.reader(entry.content.decode().splitlines())
    return {path: (digest, size) for path, digest, size in rows}


def test_a_pure_wheel_is_noarch(tmp_path: Path) -> None:
    info = _describe(
        make_wheel(
            tmp_path,
            "My_Lib",
            "1.0",
            requires=["six>=1", "win; extra == 'windows' and sys_platform == 'win32'"],
            requires_python=">=3.9",
            entry_points={"my": "my_lib:main"},
        )
    )
    assert (info.name, info.version, info.subdir, info.noarch) == (
        "my-lib",
        "1.0",
        "noarch",
        "python",
    )
    assert info.depends == ("python >=3.9", "six >=1")
    assert info.entry_points == ("my = my_lib:main",)
    assert info.build.startswith("pyh")
    assert info.build.endswith("_1")
    assert info.build_number == 1
    assert info.timestamp == _DATE


@pytest.mark.parametrize(
    ("tag", "requires", "files"),
    [
        (_BINARY, (), {}),
        ("py311-none-any", (), {}),
        ("py3-none-any", ("tomli; python_version < '3.11'",), {}),
        ("py3-none-any", (), {"thing-1.0.data/headers/thing.h": ""}),
    ],
)
def test_any_other_wheel_belongs_to_one_python_and_platform(
    tmp_path: Path, tag: str, requires: Sequence[str], files: Mapping[str, str]
) -> None:
    info = _describe(make_wheel(tmp_path, "thing", "1.0", tag=tag, requires=requires, files=files))
    assert (info.subdir, info.noarch, info.entry_points) == ("linux-64", "", ())
    assert info.depends == ("python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311")
    assert info.build.startswith("py311h")


def test_an_extra_is_a_package_without_files_that_belongs_to_its_version(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "My_Lib",
        "1.0",
        tag=_BINARY,
        requires=["six", "a; extra == 'x'", "b; extra == 'y' and python_version < '3.12'"],
    )
    with open_wheel(path) as wheel:
        same, differs = (describe_extra(wheel, each, "3.11", "linux-64") for each in "xy")
        later = describe_extra(wheel, "y", "3.12", "linux-64")
    assert (same.name, same.version, same.subdir, same.noarch) == (
        "my-lib-with-x",
        "1.0",
        "noarch",
        "generic",
    )
    assert same.depends == ("my-lib ==1.0", "a")
    assert (differs.subdir, differs.noarch) == ("linux-64", "")
    assert differs.depends[2:] == ("my-lib ==1.0", "b")
    assert later.depends[2:] == ("my-lib ==1.0",)
    assert differs.build.startswith("py311h")
    assert later.build.startswith("py312h")


@pytest.mark.parametrize("tag", ["cp310-cp310-linux_x86_64", "cp311-cp311-win_amd64"])
def test_a_wheel_for_another_python_or_platform_is_refused(tmp_path: Path, tag: str) -> None:
    path = make_wheel(tmp_path, "thing", "1.0", tag=tag)
    with pytest.raises(IntegrityError, match=r"not made for Python 3\.11"):
        _describe(path)


def test_an_unreadable_requirement_is_a_broken_wheel(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "thing", "1.0", requires=["six >= >= 1"])
    with pytest.raises(IntegrityError, match="not a usable wheel"):
        _describe(path)


def test_the_build_string_covers_what_the_bytes_depend_on(tmp_path: Path) -> None:
    pure = make_wheel(tmp_path / "a", "thing", "1.0")
    changed = make_wheel(tmp_path / "b", "thing", "1.0", files={"thing.py": "x = 1\n"})
    abi3 = make_wheel(tmp_path, "thing", "1.0", tag=f"cp39-abi3-linux_{platform.machine()}")
    assert _describe(pure, "3.11").build == _describe(pure, "3.12").build
    assert _describe(pure).build != _describe(changed).build
    assert _describe(pure).build != _describe(pure, date=None).build
    assert _describe(abi3, "3.11").build.startswith("py311h")
    assert _describe(abi3, "3.12").build.startswith("py312h")
    elsewhere = _DATE.astimezone(timezone(timedelta(hours=5)))
    assert _describe(pure).build == _describe(pure, date=elsewhere).build


def test_the_files_of_a_noarch_package_and_its_record(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "thing",
        "1.0",
        files={
            "thing.py": "x = 1\n",
            "thing-1.0.data/scripts/run": "#!python\nprint(1)\n",
            "thing-1.0.data/data/etc/thing.conf": "y\n",
            "thing-1.0.data/purelib/more.py": "z = 2\n",
            "thing-1.0.dist-info/direct_url.json": "{}",
            "thing-1.0.dist-info/RECORD.jws": "{}",
        },
        entry_points={"thing": "thing:main"},
    )
    found = _entries(path)
    info = "thing-1.0.dist-info"
    site = f"site-packages/{info}"
    record = _record(found.pop(f"{site}/RECORD"))
    assert set(found) == {
        "etc/thing.conf",
        "python-scripts/run",
        "site-packages/more.py",
        "site-packages/thing.py",
        f"{site}/INSTALLER",
        f"{site}/METADATA",
        f"{site}/WHEEL",
        f"{site}/entry_points.txt",
    }
    assert found[f"{site}/INSTALLER"].content == b"conda\n"
    assert found["python-scripts/run"].executable
    assert record == {
        "../../../bin/run": ("", ""),
        "../../../bin/thing": ("", ""),
        "../../../etc/thing.conf": (record_hash(b"y\n"), "2"),
        "more.py": (record_hash(b"z = 2\n"), "6"),
        "thing.py": (record_hash(b"x = 1\n"), "6"),
        f"{info}/RECORD": ("", ""),
    } | {
        f"{info}/{name}": (
            record_hash(found[f"{site}/{name}"].content),
            str(len(found[f"{site}/{name}"].content)),
        )
        for name in ("INSTALLER", "METADATA", "WHEEL", "entry_points.txt")
    }


def test_the_files_of_a_platform_package_and_its_record(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path,
        "thing",
        "1.0",
        tag=_BINARY,
        files={
            "thing.so": b"\x7fELF",
            "thing-1.0.data/headers/thing.h": "h\n",
            "thing-1.0.data/platlib/more.py": "z = 2\n",
            "thing-1.0.data/scripts/native": b"\x7fELF",
        },
        entry_points={"thing": "thing:main"},
    )
    found = _entries(path)
    site = "lib/python3.11/site-packages"
    record = _record(found[f"{site}/thing-1.0.dist-info/RECORD"])
    assert {"bin/native", "bin/thing", "include/python3.11/thing/thing.h"} < set(found)
    assert {f"{site}/thing.so", f"{site}/more.py"} < set(found)
    assert found["bin/thing"].executable
    assert found["bin/thing"].relocated
    assert record["../../../bin/thing"] == ("", "")
    assert record["../../../bin/native"] == (record_hash(b"\x7fELF"), "4")
    assert record["../../../include/python3.11/thing/thing.h"] == (record_hash(b"h\n"), "2")
    assert len(record) == len(found)


def test_the_mode_of_an_executable_is_kept(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "thing", "1.0")
    with zipfile.ZipFile(path, "a") as archive:
        tool = zipfile.ZipInfo("thing/tool")
        tool.external_attr = 0o100755 << 16
        archive.writestr(tool, b"\x7fELF")
    found = _entries(path)
    assert found["site-packages/thing/tool"].executable
    assert not found["site-packages/thing/__init__.py"].executable


def test_an_unknown_part_of_data_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "thing", "1.0", files={"thing-1.0.data/lib64/x": ""})
    with pytest.raises(IntegrityError, match="no place in an installation"):
        _entries(path)
