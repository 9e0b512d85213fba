from __future__ import annotations

import asyncio
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest
import rattler
from rattler.exceptions import GatewayError, InstallerError

from tests.support.channel import (
    Channel,
    ChannelServer,
    Fault,
    make_conda_distribution,
    make_conda_package,
)

_LIMIT = 60.0


def _solve(
    url: str, *specs: str, exclude_newer: datetime | None = None
) -> list[rattler.RepoDataRecord]:
    async def solve() -> list[rattler.RepoDataRecord]:
        try:
            return await rattler.solve(
                [url],
                specs,
                gateway=rattler.Gateway(),
                platforms=["linux-64", "noarch"],
                virtual_packages=rattler.VirtualPackage.detect(),
                exclude_newer=exclude_newer,
            )
        finally:
            await asyncio.sleep(0.2)

    return asyncio.run(solve())


def _install(records: list[rattler.RepoDataRecord], prefix: Path, cache: Path) -> None:
    async def install() -> None:
        try:
            await rattler.install(records, prefix, cache_dir=cache)
        finally:
            await asyncio.sleep(0.2)

    asyncio.run(install())


def _versions(records: list[rattler.RepoDataRecord]) -> dict[str, str]:
    return {record.name.normalized: str(record.version) for record in records}


@pytest.fixture
def filled(channel: Channel) -> Channel:
    """A channel of two packages, one of them in two versions."""
    make_conda_package(channel.root, "app", "1.0", depends=["lib >=1"])
    make_conda_package(channel.root, "lib", "1.0", files={"share/lib.txt": "one\n"})
    make_conda_package(channel.root, "lib", "2.0", files={"share/lib.txt": "two\n"})
    channel.index()
    return channel


def test_a_file_channel_solves_and_installs(filled: Channel, tmp_path: Path) -> None:
    records = _solve(filled.url, "app")
    assert _versions(records) == {"app": "1.0", "lib": "2.0"}
    _install(records, tmp_path / "prefix", tmp_path / "cache")
    assert (tmp_path / "prefix/share/lib.txt").read_text() == "two\n"


def test_a_served_channel_solves_and_installs(
    filled: Channel, channel_server: ChannelServer, tmp_path: Path
) -> None:
    del filled
    records = _solve(channel_server.url, "app", "lib<2")
    assert _versions(records) == {"app": "1.0", "lib": "1.0"}
    _install(records, tmp_path / "prefix", tmp_path / "cache")
    assert (tmp_path / "prefix/share/lib.txt").read_text() == "one\n"
    assert channel_server.requests["/channel/noarch/lib-1.0-0.conda"] == 1


def test_a_package_written_anew_is_indexed_anew(filled: Channel, tmp_path: Path) -> None:
    make_conda_package(filled.root, "lib", "2.0", files={"share/lib.txt": "another two\n"})
    filled.index()
    records = _solve(filled.url, "lib")
    _install(records, tmp_path / "prefix", tmp_path / "cache")
    assert (tmp_path / "prefix/share/lib.txt").read_text() == "another two\n"


def test_timestamps_and_build_numbers_count(channel: Channel) -> None:
    for number, year in enumerate((2024, 2025)):
        moment = datetime(year, 6, 1, tzinfo=timezone.utc)
        make_conda_package(
            channel.root, "a", "1", build=str(number), build_number=number, timestamp=moment
        )
    channel.index()
    [newest] = _solve(channel.url, "a")
    assert newest.build_number == 1
    [older] = _solve(channel.url, "a", exclude_newer=datetime(2025, 1, 1, tzinfo=timezone.utc))
    assert older.build_number == 0


@pytest.mark.parametrize("fault", ["500", "nonsense", "404"])
def test_a_broken_channel_does_not_solve(
    filled: Channel, channel_server: ChannelServer, fault: Fault
) -> None:
    del filled
    channel_server.fault = fault
    with pytest.raises(GatewayError):
        _solve(channel_server.url, "app")


def test_a_slow_channel_lets_the_client_wait(
    filled: Channel, channel_server: ChannelServer
) -> None:
    del filled
    channel_server.patience = 60.0
    channel_server.fault = "slow"

    async def solve() -> None:
        try:
            await asyncio.wait_for(rattler.solve([channel_server.url], ["app"]), 0.5)
        finally:
            await asyncio.sleep(0.2)

    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(solve())


def test_corrupt_packages_fail_by_their_hash(
    filled: Channel, channel_server: ChannelServer, tmp_path: Path
) -> None:
    del filled
    records = _solve(channel_server.url, "app")
    channel_server.fault = "corrupt-packages"
    with pytest.raises(InstallerError, match="mismatch"):
        _install(records, tmp_path / "prefix", tmp_path / "cache")


def test_a_real_python_runs_a_conda_distribution(python_channel: Channel, tmp_path: Path) -> None:
    code = "def main():\n    print('hello')\n"
    make_conda_distribution(
        python_channel.root,
        "Say.Hello",
        "1.5",
        files={"say_hello.py": code},
        scripts={"say-hello": "say_hello:main"},
    )
    python_channel.index()
    prefix = tmp_path / "prefix"
    _install(_solve(python_channel.url, "python", "say-hello"), prefix, tmp_path / "cache")
    assert _output(prefix / "bin/say-hello") == "hello\n"
    asked = "from importlib.metadata import distribution as d; x = d('say.hello')"
    shown = f"{asked}; print(x.version, x.read_text('INSTALLER').strip(), len(x.files))"
    assert _output(prefix / "bin/python", "-c", shown) == "1.5 conda 5\n"


def test_every_test_has_a_python_channel_of_its_own(
    shared_python: Channel, python_channel: Channel
) -> None:
    before = {path: path.stat().st_mtime_ns for path in shared_python.root.rglob("*.*")}
    make_conda_package(python_channel.root, "a", "1")
    python_channel.index()
    assert {path: path.stat().st_mtime_ns for path in shared_python.root.rglob("*.*")} == before
    [archive] = python_channel.root.glob("linux-*/python-3.11.*.conda")
    assert archive.stat().st_nlink > 1


def _output(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=True,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        env={"PATH": os.defpath},
    )
    return done.stdout
