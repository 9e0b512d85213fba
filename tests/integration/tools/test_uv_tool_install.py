"""uv installs what is locked, in one command, and nothing else."""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.model.lock import Package
from elt_env.tools.indexes import Indexes, parse_index
from elt_env.tools.pip import InstallRequest
from tests.support.resolving import Shelf


def _prefix(place: Path) -> Path:
    venv.create(place, with_pip=False, symlinks=True)
    return place


def _install(shelf: Shelf, prefix: Path, *packages: Package) -> str:
    lines = [f"{each.name}=={each.version} --hash=sha256:{each.sha256}\n" for each in packages]
    request = InstallRequest("".join(lines), prefix, Indexes(parse_index(shelf.index.url)))
    return shelf.uv().install(request, print)


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
    assert shelf.uv().inconsistencies(prefix, print) == ()


def test_what_a_distribution_misses(shelf: Shelf, tmp_path: Path) -> None:
    shelf.wheel("app", "1.0", requires=["lib"])
    shelf.wheel("lib", "1.0")
    prefix = _prefix(tmp_path / "prefix")
    app, _ = shelf.files("app")
    _install(shelf, prefix, app)
    (line,) = shelf.uv().inconsistencies(prefix, print)
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
