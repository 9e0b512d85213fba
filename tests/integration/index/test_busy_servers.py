"""Servers that want to be asked later: every download waits for as long as they say."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from elt_env.conda.rattler_link import RattlerLinker
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import ChannelUnreachableError, IndexUnreachableError, NetworkError
from elt_env.index import http_client
from elt_env.index.download import Downloads
from elt_env.index.package_index import PackageIndex
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.runtime.files import sha256_of
from tests.support.channel import Channel, ChannelServer
from tests.support.downloads import Downloading
from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.resolving import Shelf
from tests.support.said import Said
from tests.support.solving import request, versions
from tests.support.wheels import make_wheel


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for; nobody waits in these tests."""
    waited: list[float] = []
    monkeypatch.setattr(http_client, "wait", waited.append)
    return waited


def _in_seconds(seconds: int) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
def test_repodata(
    packages: Channel, server: ChannelServer, conda: Rattler, waits: list[float], status: int
) -> None:
    del packages
    server.busy["repodata.json"] = 12
    server.busy_status, server.retry_after = status, "7"
    heard = Said()
    found = conda.solve(request(server.url, "lib", "python=3.11"), heard)
    assert versions(found)["lib"] == "2.0"
    assert 7.0 in waits
    assert "127.0.0.1 asks to wait: again in 7 s" in heard


def test_archives_that_are_looked_into(
    packages: Channel, server: ChannelServer, conda: Rattler, waits: list[float]
) -> None:
    del packages
    server.busy[".conda"], server.retry_after = 5, "7"
    assert conda.solve(request(server.url, "lib", "python=3.11"))
    assert waits
    assert 7.0 in waits


def test_archives_that_are_linked(
    packages: Channel, server: ChannelServer, conda: Rattler, waits: list[float], tmp_path: Path
) -> None:
    del packages
    found = conda.solve(request(server.url, "lib", "python=3.11"))
    server.busy[".conda"], server.retry_after = 9, _in_seconds(60)
    heard = Said()
    RattlerLinker(tmp_path / "cache", 120.0).link(found, tmp_path / "prefix", (), heard)
    assert len(list((tmp_path / "prefix" / "conda-meta").glob("*.json"))) == len(found)
    # Where the server has time again when it is asked how long, the wait is a short one of our own.
    first, *others = waits
    assert 50 < first <= 60
    assert all(50 < each <= 60 or each < 2 for each in others)
    assert [each for each in heard if "127.0.0.1 asks to wait" in each]


def test_a_wait_that_nobody_would_wait_for_is_an_error(
    packages: Channel, server: ChannelServer, conda: Rattler, waits: list[float]
) -> None:
    del packages
    server.busy["repodata.json"], server.retry_after = 99, "86400"
    with pytest.raises(NetworkError, match="429 Too Many Requests") as caught:
        conda.solve(request(server.url, "lib"))
    assert type(caught.value) is NetworkError
    assert not waits


@pytest.mark.parametrize("once", [False, True])
def test_a_channel_that_is_out_of_service_and_does_not_say_for_how_long(
    packages: Channel, server: ChannelServer, conda: Rattler, waits: list[float], *, once: bool
) -> None:
    del packages
    server.busy["repodata.json"], server.busy_status, server.retry_after = 99, 503, ""
    with pytest.raises(ChannelUnreachableError, match="503 Service Unavailable"):
        conda.solve(request(server.url, "lib", once=once))
    assert len(waits) == (0 if once else 1)


@pytest.mark.slow
def test_pages_through_uv(shelf: Shelf, waits: list[float]) -> None:
    shelf.wheel("app", "1.0")
    # uv itself asks four times before it gives up.
    shelf.index.busy["/simple/"], shelf.index.retry_after = 5, "7"
    assert [each.version for each in shelf.resolve("app")] == ["1.0"]
    assert waits == [7.0]


@pytest.mark.slow
def test_a_wheel_through_pip(
    packages: Channel, index: IndexServer, waits: list[float], tmp_path: Path
) -> None:
    # pip itself asks six times, and waits for as long as it is told.
    index.busy["/files/"], index.retry_after = 7, "0"
    with running(ChannelServer(packages.root)) as channel:
        Downloading(channel, index, tmp_path).install()
    assert waits == [0.0]


def test_a_wheel_through_our_own_client(
    index: IndexServer, waits: list[float], tmp_path: Path
) -> None:
    wheel = make_wheel(tmp_path, "app", "1.0")
    index.add(wheel)
    index.busy["/files/"], index.retry_after = 4, "7"
    downloads = Downloads(tmp_path / "wheels", Indexes())
    heard = Said()
    path = downloads.fetch(f"{index.base_url}/files/{wheel.name}", sha256_of(wheel), heard)
    assert heard == ["127.0.0.1 asks to wait: again in 7 s"] * 4
    assert path.read_bytes() == wheel.read_bytes()
    assert waits == [7.0] * 4


def test_a_page_through_our_own_client(index: IndexServer, tmp_path: Path) -> None:
    index.add(make_wheel(tmp_path, "app", "1.0"))
    index.busy["/simple/"], index.retry_after = 2, "0"
    pages = PackageIndex(Indexes(parse_index(index.url)), tmp_path / "pages")
    assert pages.look({"app": index.url}).pages["app"].name == "app"
    assert index.statuses[429] == 2
    index.busy["/simple/"], index.retry_after = 2, "3600"
    with pytest.raises(IndexUnreachableError, match="asked again after 3600 s"):
        pages.look({"app": index.url})
