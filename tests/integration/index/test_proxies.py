"""Proxies: every tool goes through the one that a setting names, and says when it is stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elt_env.errors import NetworkError, ProxyError
from elt_env.machine.process import clean_environment
from tests.support.channel import Channel, ChannelServer
from tests.support.downloads import WAYS, Downloading
from tests.support.forward_proxy import ForwardProxy
from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.tls import Authority, over_tls

_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
Open = Callable[..., Downloading]


@pytest.fixture(autouse=True)
def home(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a proxy, and without an exception for the servers of tests."""
    for name in (*_NAMES, *(each.upper() for each in _NAMES)):
        monkeypatch.delenv(name, raising=False)
    return private_home


@pytest.fixture
def world(packages: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Starts a channel and an index, over TLS or not."""
    authority = Authority(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with contextlib.ExitStack() as stack:

        def start(*, tls: bool) -> Downloading:
            channel, index = ChannelServer(packages.root), IndexServer()
            for server in (channel, index) if tls else ():
                over_tls(server, authority.good())
            stack.enter_context(running(channel))
            stack.enter_context(running(index))
            return Downloading(channel, index, tmp_path)

        yield start


def _name_in(place: str, url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "pip.conf": (".config/pip/pip.conf", f"[global]\nproxy = {url}\n"),
        "uv.toml": (".config/uv/uv.toml", f'http-proxy = "{url}"\nhttps-proxy = "{url}"\n'),
        "condarc": (".condarc", f"proxy_servers:\n  http: {url}\n  https: {url}\n"),
    }
    if place not in files:
        monkeypatch.setenv(place, url)
        return
    path, text = files[place]
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text(text)


@pytest.mark.parametrize("place", ["ALL_PROXY", "PIP_PROXY", "pip.conf", "uv.toml", "condarc"])
def test_what_one_setting_names_every_tool_uses(
    world: Open, home: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    opened = world(tls=True)
    with ForwardProxy(login="me:open-sesame") as proxy:
        _name_in(place, proxy.url_with_login, home, monkeypatch)
        for name, way in opened.ways().items():
            proxy.passed.clear()
            way()
            assert proxy.passed, name
        assert not proxy.refused


def test_what_needs_no_proxy_goes_without(world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = world(tls=True)
    with ForwardProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        for way in opened.ways().values():
            way()
        assert not proxy.passed


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tls", [True, False])
def test_a_proxy_that_wants_to_know_who_asks(
    world: Open, monkeypatch: pytest.MonkeyPatch, way: str, *, tls: bool
) -> None:
    opened = world(tls=tls)
    with ForwardProxy(login="me:open-sesame") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//me:wr0ng@"))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//me:wr0ng@"))
        with pytest.raises(ProxyError, match="another user name and password") as caught:
            opened.ways()[way]()
        assert proxy.refused
    assert caught.value.exit_code == 4
    assert "HTTPS_PROXY" in caught.value.remedy
    assert "wr0ng" not in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tls", [True, False])
def test_a_proxy_that_answers_with_a_page_to_sign_in(
    world: Open, monkeypatch: pytest.MonkeyPatch, way: str, *, tls: bool
) -> None:
    opened = world(tls=tls)
    with ForwardProxy(login_page=True) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(NetworkError) as caught:
            opened.ways()[way]()
        assert type(caught.value).__name__ != "ChannelUnreachableError"
    assert "roxy" in str(caught.value)


def test_the_variables_of_a_tool_have_both_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.invalid:3128")
    found = clean_environment()
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy.example.invalid:3128"
    assert "http_proxy" not in found
