"""uv installs what is locked, in one command, and nothing else."""

from __future__ import annotations

import os
import sys
import venv
from pathlib import Path

import pytest

from elt_env.environment.installed_files import recorded_hash
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.machine.process import run
from elt_env.pip import InstallRequest
from elt_env.pip.archived import files_in, forged
from elt_env.python.first_line import long_first_line
from elt_env.runtime.files import sha256_of
from tests.support.index_server import IndexServer
from tests.support.resolving import Shelf, uv_at
from tests.support.said import Said
from tests.support.wheels import make_wheel


@pytest.fixture
def shelf(index: IndexServer, tmp_path: Path) -> Shelf:
    """An index with nothing on it."""
    return Shelf(index, tmp_path / "shelf")


def _prefix(place: Path) -> Path:
    venv.create(place, with_pip=False, symlinks=True)
    return place


def _install(shelf: Shelf, prefix: Path, *packages: Package) -> str:
    lines = [f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in packages]
    request = InstallRequest("".join(lines), prefix, Indexes(parse_index(shelf.index.url)))
    return uv_at(shelf.index.url).install(request, print)


def _site_packages(prefix: Path) -> Path:
    major, minor = sys.version_info[:2]
    return prefix / "lib" / f"python{major}.{minor}" / "site-packages"


def test_one_command_installs_what_is_locked(shelf: Shelf, tmp_path: Path) -> None:
    shelf.wheel("app", "1.0", requires=["lib"])
    shelf.wheel("lib", "1.0")
    shelf.wheel("lib", "2.0")
    prefix = _prefix(tmp_path / "prefix")
    app, lib = shelf.files("app", bounds=("lib<2",))
    command = _install(shelf, prefix, app, lib)
    assert {"--require-hashes", "--no-deps"} <= set(command.split())
    assert (_site_packages(prefix) / "lib-1.0.dist-info").is_dir()
    assert uv_at(shelf.index.url).inconsistencies(prefix, print) == ()


def test_what_a_distribution_misses(shelf: Shelf, tmp_path: Path) -> None:
    shelf.wheel("app", "1.0", requires=["lib"])
    shelf.wheel("lib", "1.0")
    prefix = _prefix(tmp_path / "prefix")
    app, _ = shelf.files("app")
    _install(shelf, prefix, app)
    (line,) = uv_at(shelf.index.url).inconsistencies(prefix, print)
    assert "app" in line
    assert "lib" in line


def test_a_wheel_of_other_bytes_is_not_installed(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.wheel("app", "1.0")
    prefix = _prefix(tmp_path / "prefix")
    (app,) = shelf.files("app")
    shelf.index.fault = "corrupt-files"
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    with pytest.raises(IntegrityError, match=r"Hash mismatch of app.*1\.0") as caught:
        _install(shelf, prefix, app)
    assert app.sha256 in caught.value.problem
    assert "relock" in caught.value.remedy
    assert not list(_site_packages(prefix).glob("app*"))


_SAYS = b"import sys; print('said', sys.prefix)\n"
_SCRIPTS = {
    "plain": b"#!python\n" + _SAYS,
    "encoded": b"#!python\n# -*- coding: utf-8 -*-\n" + _SAYS,
    "latin": b"#!python\n# vim: set fileencoding=latin-1 :\n# \xe9\n" + _SAYS,
    "third-line": b"#!python\n#!/usr/bin/env python\n# coding: utf-8\n" + _SAYS,
    "windows": b"#!python\r\n" + _SAYS,
    "option": b"#!python -u\n" + _SAYS,
    "shell": b"#!/bin/sh\necho said\n",
}


@pytest.mark.parametrize("place", ["short", "with a space", "long" * 30, "with 'quotes' in it"])
def test_scripts_are_recognized_wherever_the_prefix_is(
    shelf: Shelf, tmp_path: Path, place: str
) -> None:
    files = {f"app-1.0.data/scripts/{name}": text for name, text in _SCRIPTS.items()}
    files |= {"app.py": b"def main(): print('said')\n"}
    wheel = make_wheel(tmp_path, "app", "1.0", files=files, entry_points={"launched": "app:main"})
    prefix = _prefix(tmp_path / place)
    (prefix / ".lock").touch()  # uv makes one in a virtual environment
    said = Said()
    uv_at(shelf.index.url).install(
        InstallRequest(
            f"app==1.0 --hash=sha256:{sha256_of(wheel)}\n",
            prefix,
            Indexes(parse_index(shelf.index.url)),
            archives=(wheel,),
            site_packages=_site_packages(prefix),
        ),
        said,
    )
    assert said.details == [each for each in said if "app" in each] != []
    for name in (*_SCRIPTS, "launched"):
        done = run([prefix / "bin" / name], limit=60)
        assert done.stdout.startswith("said"), (name, done.stderr)
        head = (prefix / "bin" / name).read_bytes()
        long = long_first_line(head)
        assert name == "shell" or prefix / "bin/python" == Path(
            os.fsdecode(long[0] if long else head.splitlines()[0][2:])
        )


# Wheels before pip 24.1 have one for the Python that they were made with.
@pytest.mark.parametrize("more", [{}, {"pip3.9": "pip:main"}])
def test_the_launchers_of_pip_itself(shelf: Shelf, tmp_path: Path, more: dict[str, str]) -> None:
    files = {"pip/__init__.py": "def main(): print('said')\n"}
    points = {"pip": "pip:main", "pip3": "pip:main", **more}
    wheel = make_wheel(tmp_path, "pip", "1.0", files=files, entry_points=points)
    prefix = _prefix(tmp_path / "prefix")
    (prefix / ".lock").touch()
    request = InstallRequest(
        f"pip==1.0 --hash=sha256:{sha256_of(wheel)}\n",
        prefix,
        Indexes(parse_index(shelf.index.url)),
        archives=(wheel,),
        site_packages=_site_packages(prefix),
    )
    uv_at(shelf.index.url).install(request, Said())
    (launcher,) = (prefix / "bin").glob("pip3.*")
    assert run([launcher], limit=60).stdout == "said\n"
    launcher.write_bytes(launcher.read_bytes() + b"print('more')\n")
    record = next(prefix.glob("lib/*/site-packages/pip-1.0.dist-info/RECORD"))
    rows = [each for each in record.read_text().splitlines() if launcher.name not in each]
    digest = recorded_hash(launcher)
    rows.append(f"../../../bin/{launcher.name},sha256={digest},{launcher.stat().st_size}")
    record.write_text("\n".join(rows) + "\n")
    before = {each for each in files_in(prefix) if each.startswith("bin/python")}
    assert forged(request, before)["pip"] == [f"bin/{launcher.name}"]
