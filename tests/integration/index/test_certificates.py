"""Servers whose certificate is trusted, by each way of saying so, and those whose is not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import CertificateError, ChannelUnreachableError
from tests.support.channel import Channel, ChannelServer
from tests.support.downloads import WAYS, Downloading
from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.tls import Authority, over_tls

_LIMIT = 120.0
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path / "authority.pem")


@pytest.fixture(autouse=True)
def home(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who trusts what the system trusts."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return private_home


Open = Callable[[trustme.LeafCert], Downloading]


@pytest.fixture
def world(packages: Channel, tmp_path: Path) -> Iterator[Open]:
    """Starts both servers with a certificate."""
    with contextlib.ExitStack() as stack:

        def start(certificate: trustme.LeafCert) -> Downloading:
            channel = stack.enter_context(
                running(over_tls(ChannelServer(packages.root), certificate))
            )
            index = stack.enter_context(running(over_tls(IndexServer(), certificate)))
            return Downloading(channel, index, tmp_path)

        yield start


def _say_in_variable(name: str) -> Callable[[Path, Path, pytest.MonkeyPatch], None]:
    def say(bundle: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        del home
        monkeypatch.setenv(name, str(bundle))

    return say


def _say_in_file(path: str, text: str) -> Callable[[Path, Path, pytest.MonkeyPatch], None]:
    def say(bundle: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
        monkeypatch.delenv("CONDARC", raising=False)
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(bundle))

    return say


_SAYING = {
    **{name: _say_in_variable(name) for name in _VARIABLES if name != "SSL_CERT_DIR"},
    "pip.conf": _say_in_file(".config/pip/pip.conf", "[global]\ncert = {}\n"),
    "condarc": _say_in_file(".condarc", "ssl_verify: {}\n"),
}


@pytest.mark.parametrize("place", _SAYING)
def test_what_one_setting_trusts_every_tool_trusts(
    *,
    world: Open,
    authority: Authority,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    _SAYING[place](authority.bundle, home, monkeypatch)
    opened = world(authority.good())
    for ask_them in opened.ways().values():
        ask_them()


def test_a_directory_of_certificates(
    world: Open, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = authority.bundle.parent / "trusted"
    directory.mkdir()
    authority.bundle.rename(directory / "ours.pem")
    monkeypatch.setenv("SSL_CERT_DIR", str(directory))
    for ask_them in world(authority.good()).ways().values():
        ask_them()


_CAUSES = {
    "unknown": "signed by an authority that is not trusted here, or by itself",
    "expired": "it has expired",
    "other": "it is for another host name",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cause", _CAUSES)
def test_a_certificate_that_is_refused_is_an_error_of_its_own(
    *,
    world: Open,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    way: str,
    cause: str,
) -> None:
    if cause != "unknown":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    certificate = {
        "unknown": Authority(tmp_path / "stranger.pem").good,
        "expired": authority.expired,
        "other": authority.other_host,
    }[cause]()
    opened = world(certificate)
    with pytest.raises(CertificateError) as caught:
        opened.ways()[way]()
    assert not isinstance(caught.value, ChannelUnreachableError)
    assert caught.value.exit_code == 4
    assert not caught.value.retryable
    assert _CAUSES[cause] in caught.value.problem
    assert "The certificate of 127.0.0.1:" in caught.value.problem
    if cause == "unknown":
        assert "SSL_CERT_FILE" in caught.value.remedy
    assert opened.requests == 0


def test_a_channel_whose_certificate_is_refused_is_not_called_unreachable(
    world: Open, authority: Authority, tmp_path: Path
) -> None:
    opened = world(authority.good())
    with pytest.raises(CertificateError):
        Rattler(tmp_path / "cache", None, _LIMIT).reachable((opened.channel.url,))
    assert os.environ.get("SSL_CERT_FILE") is None
