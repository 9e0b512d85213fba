"""Project URLs read from what is installed, and beside wheels on an index on 127.0.0.1."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from elt_env.environment.declared import installed_project_urls
from elt_env.environment.prefix import Prefix, Stage
from elt_env.index import core_metadata
from elt_env.index.core_metadata import offered_metadata, offered_project_urls
from elt_env.index.project_page import IndexFile
from elt_env.machine.indexes import Index, Indexes
from tests.support.index_server import IndexServer, dead_url
from tests.support.locks import lock_of
from tests.support.wheels import make_sdist, make_wheel

_NEWS = "Changelog, https://project.example.invalid/news"


@pytest.fixture
def offering(index: IndexServer, tmp_path: Path) -> IndexServer:
    """An index with metadata beside its only wheel."""
    index.core_metadata = True
    index.add(make_wheel(tmp_path, "alpha", "1.0", fields=[f"Project-URL: {_NEWS}"]))
    return index


def _wheel(index: IndexServer, name: str = "alpha") -> str:
    return f"{index.base_url}/files/{name}-1.0-py3-none-any.whl"


def test_the_metadata_beside_a_wheel_are_read_and_the_wheel_is_not(offering: IndexServer) -> None:
    wheel = _wheel(offering)
    assert offered_project_urls([wheel], Indexes()) == {wheel: (_NEWS,)}
    assert list(offering.requests) == [f"{wheel.removeprefix(offering.base_url)}.metadata"]


def test_what_is_not_there_is_left_out(offering: IndexServer) -> None:
    wheel = _wheel(offering)
    missing = [_wheel(offering, "other"), f"{dead_url()}/beta-1.0-py3-none-any.whl", "http://["]
    assert offered_project_urls([*missing, wheel], Indexes()).keys() == {wheel}
    offering.fault = "500"
    assert offered_project_urls([wheel], Indexes()) == {}


def test_the_login_of_an_index_goes_to_its_own_origin(offering: IndexServer) -> None:
    offering.fault = "refuse-auth"
    wheel = _wheel(offering)
    assert offered_project_urls([wheel], Indexes(Index(dead_url(), "reader", "other"))) == {}
    login = Index(offering.url, *offering.credentials)
    assert offered_project_urls([wheel], Indexes(login)) == {wheel: (_NEWS,)}


def test_a_slow_index_is_not_waited_for(
    offering: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_metadata, "_SILENCE", 0.2)
    monkeypatch.setattr(core_metadata, "_LIMIT", 0.1)
    offering.fault = "slow"
    start = time.monotonic()
    assert offered_project_urls([_wheel(offering)] * 30, Indexes()) == {}
    assert time.monotonic() - start < 5
    assert sum(offering.requests.values()) <= 8


def test_metadata_as_large_as_a_book_are_not_read(offering: IndexServer, tmp_path: Path) -> None:
    book = make_wheel(tmp_path, "book", "1.0", fields=["", "word " * 500_000])
    offering.add(book)
    assert offered_project_urls([_wheel(offering, "book")], Indexes()) == {}


@pytest.mark.parametrize("kind", ["beside", "within", "on this disk"])
def test_what_a_wheel_needs_is_read_without_a_download(
    index: IndexServer, tmp_path: Path, kind: str
) -> None:
    index.core_metadata = kind == "beside"
    files = {"large/data.bin": os.urandom(400_000)}
    wheel = make_wheel(tmp_path, "large", "1.0", requires=["b<2"], files=files)
    index.add(wheel)
    url = wheel.as_uri() if kind == "on this disk" else f"{index.base_url}/files/{wheel.name}"
    file = IndexFile(wheel.name, "1.0", url, has_metadata=kind == "beside")
    for _ in range(2):
        (text,) = offered_metadata([file], Indexes(), tmp_path / "cache")
        assert "Requires-Dist: b<2" in (text or "")
    assert index.sent < 200_000
    assert sum(index.requests.values()) == {"beside": 1, "within": 1, "on this disk": 0}[kind]


def test_what_cannot_be_read_without_a_download_is_left_out(
    index: IndexServer, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged-1.0-py3-none-any.whl"
    damaged.write_bytes(b"no archive")
    book = make_wheel(tmp_path, "book", "1.0", fields=["", "word " * 500_000])
    sdist = make_sdist(tmp_path, "old", "1.0")
    urls = [
        *(each.as_uri() for each in (damaged, book, sdist, tmp_path / "gone-1.0-py3-none-any.whl")),
        *(f"{dead_url()}/a-1.0-py3-none-any.whl", f"{index.base_url}/files/a-1.0-py3-none-any.whl"),
    ]
    files = [IndexFile(each.rpartition("/")[2], "1.0", each) for each in urls]
    assert offered_metadata(files, Indexes(), tmp_path / "cache") == (None,) * len(files)


def test_the_metadata_of_what_is_installed_are_read(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "prefix", lock_of())
    assert installed_project_urls(prefix) == {}
    with prefix.reaching(Stage.INSTALLED):
        info = prefix.site_packages / "My_Alpha-1.0.dist-info"
        info.mkdir(parents=True)
        text = f"Name: My_Alpha\nVersion: 1.0\nProject-URL: Home, x\nProject-URL: {_NEWS}\n\nLong"
        (info / "METADATA").write_text(text, encoding="utf-8")
        (prefix.site_packages / "bare-1.0.dist-info").mkdir()
    assert installed_project_urls(prefix)["my-alpha"] == ("Home, x", _NEWS)
    assert installed_project_urls(prefix)["bare-1-0-dist-info"] == ()
    with prefix.reaching(Stage.LINKED):
        pass
    assert installed_project_urls(prefix) == {}
