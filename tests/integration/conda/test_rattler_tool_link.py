"""rattler links what was locked and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elt_env.conda import Linker, Solver
from elt_env.conda.rattler_link import RattlerLinker
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import (
    IntegrityError,
    NetworkError,
    StorageError,
)
from elt_env.lockfile.document import Package
from tests.support.channel import Channel, ChannelServer, Fault
from tests.support.conda_packages import make_conda_package
from tests.support.loopback import corrupted
from tests.support.said import Said
from tests.support.solving import replace_archive, request

_LIMIT = 120.0


def test_a_cache_that_cannot_be_written(packages: Channel, unwritable: Path) -> None:
    cache = unwritable / "cache"
    found = Rattler(cache, None, _LIMIT).solve(request(packages.url, "lib=1"))
    with pytest.raises(StorageError, match="cannot be written"):
        RattlerLinker(cache, _LIMIT).link(found, unwritable.parent / "prefix", (), print)


def _link(linker: Linker, found: tuple[Package, ...], prefix: Path) -> list[str]:
    said = Said()
    linker.link(found, prefix, ("lib",), said)
    return said


def test_a_prefix_holds_what_was_asked_for(
    packages: Channel, server: ChannelServer, conda: Solver, linker: Linker, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        files = {"share/lib/VERSION": version}
        make_conda_package(packages.root, "lib", version, files=files)
    make_conda_package(packages.root, "other", "1.0", files={"share/other/x": "y"})
    packages.index()
    prefix = tmp_path / "prefix"
    said = _link(linker, conda.solve(request(server.url, "lib=1", "other")), prefix)
    assert sorted(said[:2]) == ["conda: downloading lib", "conda: downloading other"]
    assert said[2].startswith("conda: linking 2 packages")
    assert said[-1] == "conda: linked 2 of 2 packages"
    record = json.loads((prefix / "conda-meta" / "lib-1.0-0.json").read_text())
    assert record["requested_specs"] == ["lib"]
    assert record["url"] == f"{server.url}/noarch/lib-1.0-0.conda"
    _link(linker, conda.solve(request(server.url, "lib=2")), prefix)
    assert (prefix / "share/lib/VERSION").read_text() == "2.0"
    assert not (prefix / "share/other/x").exists()
    assert len(list((prefix / "conda-meta").glob("*.json"))) == 1


def test_a_damaged_cache_is_not_linked(
    packages: Channel, server: ChannelServer, conda: Solver, linker: Linker, tmp_path: Path
) -> None:
    make_conda_package(packages.root, "data", "1.0", files={"share/data": "right"})
    packages.index()
    found = conda.solve(request(server.url, "data"))
    _link(linker, found, tmp_path / "one")
    # The prefix's file is a hard link into the cache.
    (tmp_path / "one/share/data").write_text("wrong")
    _link(linker, found, tmp_path / "two")
    assert (tmp_path / "two/share/data").read_text() == "right"


def test_other_bytes_from_a_server_are_not_linked(
    packages: Channel, server: ChannelServer, conda: Solver, linker: Linker, tmp_path: Path
) -> None:
    del packages
    found = conda.solve(request(server.url, "lib=1", "python=3.11"))
    server.fault = "corrupt-packages"
    with pytest.raises(IntegrityError, match=r"Hash mismatch of (lib|python)-\S+\.conda") as caught:
        _link(linker, found, tmp_path / "prefix")
    assert "relock" in caught.value.remedy
    assert caught.value.exit_code == 5
    assert not list((tmp_path / "prefix").glob("conda-meta/*.json"))


def test_other_bytes_in_a_directory_are_not_linked(
    packages: Channel, conda: Solver, linker: Linker, tmp_path: Path
) -> None:
    found = conda.solve(request(packages.url, "lib=1", "python=3.11"))
    archive = packages.root / "noarch" / "lib-1.0-0.conda"
    replace_archive(archive, corrupted(archive.read_bytes()))
    with pytest.raises(IntegrityError, match=r"Hash mismatch .*lib-1.0-0.conda") as caught:
        _link(linker, found, tmp_path / "prefix")
    assert found[0].sha256 in caught.value.problem
    archive.unlink()
    with pytest.raises(IntegrityError, match=r"lib-1.0-0.conda .*is gone"):
        _link(linker, found, tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize(
    ("fault", "words"), [("404", "is no longer on its channel"), ("500", "cannot be downloaded")]
)
def test_a_package_that_cannot_be_downloaded(
    *,
    packages: Channel,
    server: ChannelServer,
    conda: Solver,
    linker: Linker,
    tmp_path: Path,
    fault: Fault,
    words: str,
) -> None:
    del packages
    found = conda.solve(request(server.url, "lib=1", "python=3.11"))
    server.fault = fault
    with pytest.raises(NetworkError, match=rf"\.conda {words}"):
        _link(linker, found, tmp_path / "prefix")


def test_a_disk_that_is_too_small_for_a_prefix(
    packages: Channel, conda: Solver, linker: Linker, no_space: Path
) -> None:
    files = {"share/big": bytes(range(256)) * 4000}
    make_conda_package(packages.root, "big", "1.0", files=files)
    packages.index()
    found = conda.solve(request(packages.url, "big"))
    with pytest.raises(StorageError, match="No space left"):
        _link(linker, found, no_space / "prefix")
