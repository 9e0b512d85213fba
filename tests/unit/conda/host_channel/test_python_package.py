from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from pathlib import Path

from elt_env.conda.host_channel.archive import PLACEHOLDER, Entry
from elt_env.conda.host_channel.python_package import (
    describe,
    describe_abi,
    entries,
    with_placeholder,
)
from elt_env.python.interpreters import Interpreter


def _interpreter(prefix: Path) -> Interpreter:
    return Interpreter(
        executable=prefix / "bin/python3.11",
        prefix=prefix,
        version="3.11.7",
        minor="3.11",
        built_at=datetime(2026, 5, 9, 7, 35, 25, tzinfo=timezone.utc),
        platform="linux-x86_64",
        identity="3.11.7 (main, May  9 2026, 07:35:25) [GCC 12.2.0]",
        spellings=(str(prefix),),
    )


def _tree(prefix: Path, *names: str) -> None:
    for name in names:
        file = prefix / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name} in {prefix}/lib\n")


def _by_path(prefix: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry in entries(_interpreter(prefix), compiled=False)}


def test_the_package_depends_on_nothing_and_names_its_abi() -> None:
    info = describe(_interpreter(Path("/opt/python")), "linux-64")
    assert info.name == "python"
    assert info.depends == ()
    assert info.constrains == ("python_abi 3.11.* *_cp311",)
    assert info.build.endswith("_0_cpython")
    assert info.site_packages == "lib/python3.11/site-packages"
    assert info.timestamp == datetime(2026, 5, 9, 7, 35, 25, tzinfo=timezone.utc)


def test_the_build_string_tells_builds_apart_but_not_places() -> None:
    one = _interpreter(Path("/opt/python"))
    other = dataclasses.replace(one, identity=one.identity.replace("07:35", "07:36"))
    moved = _interpreter(Path("/home/someone/python"))
    assert describe(one, "linux-64").build != describe(other, "linux-64").build
    assert describe(one, "linux-64").build == describe(moved, "linux-64").build


def test_the_abi_package_ties_python_abi_to_python() -> None:
    info = describe_abi("3.11")
    assert info.stem == "python_abi-3.11-0_cp311"
    assert info.noarch == "generic"
    assert info.constrains == ("python 3.11.* *_cpython",)


def test_packages_tests_byte_code_and_static_libraries_are_left_out(tmp_path: Path) -> None:
    kept = {
        "bin/python3.11",
        "bin/python3.11-config",
        "include/python3.11/Python.h",
        "include/python3.11/cpython/object.h",
        "lib/libpython3.11.so.1.0",
        "lib/pkgconfig/python-3.11.pc",
        "lib/python3.11/os.py",
        "lib/python3.11/config-3.11/Makefile",
    }
    _tree(
        tmp_path,
        *kept,
        "bin/flask",
        "include/python3.11/greenlet/greenlet.h",
        "lib/libsomething.so",
        "lib/python3.11/__pycache__/os.cpython-311.pyc",
        "lib/python3.11/config-3.11/libpython3.11.a",
        "lib/python3.11/EXTERNALLY-MANAGED",
        "lib/python3.11/site-packages/six.py",
        "lib/python3.11/test/test_os.py",
        "lib/python3.11/tkinter/test/support.py",
        "lib/python3.11/unittest/tests/x.py",
        "lib/python3.12/os.py",
    )
    links = {"bin/python", "bin/python3", "bin/python3-config"}
    assert set(_by_path(tmp_path)) == kept | links


def test_the_prefix_is_replaced_where_the_build_wrote_it_and_nowhere_else(tmp_path: Path) -> None:
    _tree(
        tmp_path,
        "bin/python3.11",
        "lib/pkgconfig/python-3.11.pc",
        "lib/python3.11/_sysconfigdata__linux.py",
        "lib/python3.11/build-details.json",
        "lib/python3.11/config-3.11/Makefile",
        "lib/python3.11/os.py",
    )
    found = _by_path(tmp_path)
    assert {path for path, entry in found.items() if entry.relocated} == {
        "bin/python3.11",
        "lib/pkgconfig/python-3.11.pc",
        "lib/python3.11/_sysconfigdata__linux.py",
        "lib/python3.11/build-details.json",
        "lib/python3.11/config-3.11/Makefile",
    }
    assert str(tmp_path).encode() not in found["lib/pkgconfig/python-3.11.pc"].content


def test_links_to_neighbours_stay_and_others_become_files(tmp_path: Path) -> None:
    _tree(tmp_path, "bin/python3.11", "lib/libpython3.11.so.1.0", "elsewhere/os.py")
    (tmp_path / "lib/libpython3.11.so").symlink_to("libpython3.11.so.1.0")
    (tmp_path / "lib/python3.11").mkdir()
    (tmp_path / "lib/python3.11/os.py").symlink_to("../../elsewhere/os.py")
    (tmp_path / "bin/python3.11").chmod(0o755)
    found = _by_path(tmp_path)
    assert found["lib/libpython3.11.so"].link == "libpython3.11.so.1.0"
    assert found["lib/python3.11/os.py"].content.startswith(b"elsewhere/os.py")
    assert found["bin/python"].link == "python3.11"
    assert found["bin/python3.11"].executable
    assert not found["lib/python3.11/os.py"].executable


def test_a_longer_path_that_starts_like_the_prefix_is_not_the_prefix() -> None:
    spellings = ("/opt/python/3.11", "/install")
    text = b"-L/opt/python/3.11/lib '/opt/python/3.11' /opt/python/3.11.7/lib /install: /installed"
    place = PLACEHOLDER.encode()
    assert with_placeholder(text, spellings) == (
        b"-L" + place + b"/lib '" + place + b"' /opt/python/3.11.7/lib " + place + b": /installed"
    )
