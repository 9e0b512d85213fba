"""Servers that let in who has a login: each download finds it in the same places."""

from __future__ import annotations

import base64
import contextlib
import json
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import IndexUnreachableError, NetworkError, PolicyError
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.pip.uv_tool import Uv
from tests.support.channel import Channel, ChannelServer
from tests.support.downloads import Downloading
from tests.support.index_server import IndexServer
from tests.support.loopback import Reply, running
from tests.support.resolving import ask
from tests.support.said import Said
from tests.support.solving import request

_PASSWORD = "open-sesame"  # noqa: S105  # of a server of this test
_LIMIT = 120.0
_WAYS = ("rattler", "rattler link", "uv", "pip", "download", "pages")


class _PrivateChannel(ChannelServer):
    """Lets in who knows the password, or has the token in the path."""

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        login = "Basic " + base64.b64encode(f"reader:{_PASSWORD}".encode()).decode()
        token = f"/t/{_PASSWORD}/"
        if headers.get("authorization") == login or path.startswith(token):
            return super().answer(path.replace(token, "/", 1), headers)
        return Reply(401, b"log in first", "text/plain", {"WWW-Authenticate": "Basic"})


@pytest.fixture
def world(packages: Channel, private_home: Path, tmp_path: Path) -> Iterator[Downloading]:
    """A private channel and a private index, and a user without any login."""
    del private_home
    with (
        contextlib.ExitStack() as stack,
    ):
        index = IndexServer()
        index.fault = "refuse-auth"
        channel = stack.enter_context(running(_PrivateChannel(packages.root)))
        yield Downloading(channel, stack.enter_context(running(index)), tmp_path)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command lines of all programs that are started, and what they print."""
    seen: list[str] = []
    start = subprocess.Popen.__init__

    def record(self: Any, args: Any, **options: Any) -> None:
        seen.append(" ".join(map(str, args)))
        start(self, args, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", record)
    return seen


def _netrc(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = home / name
    path.write_text(f"machine 127.0.0.1 login reader password {_PASSWORD}\n")
    path.chmod(0o600)
    if name != ".netrc":
        monkeypatch.setenv("NETRC", str(path))


def _auth_file(home: Path, monkeypatch: pytest.MonkeyPatch, entry: object) -> Path:
    path = home / "auth.json"
    path.write_text(json.dumps({"127.0.0.1": entry}))
    monkeypatch.setenv("RATTLER_AUTH_FILE", str(path))
    return path


_BASIC = {"BasicHTTP": {"username": "reader", "password": _PASSWORD}}


@pytest.mark.parametrize("place", [".netrc", "NETRC", "RATTLER_AUTH_FILE"])
def test_what_one_place_has_every_download_finds(
    *,
    world: Downloading,
    private_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    commands: list[str],
    capsys: pytest.CaptureFixture[str],
    place: str,
) -> None:
    if place == "RATTLER_AUTH_FILE":
        _auth_file(private_home, monkeypatch, _BASIC)
    else:
        _netrc(private_home, monkeypatch, ".netrc" if place == ".netrc" else "netrc")
    for ask_them in world.ways().values():
        assert _PASSWORD not in repr(ask_them())
    assert commands
    assert not [each for each in commands if _PASSWORD in each]
    assert _PASSWORD not in "".join(capsys.readouterr())
    _assert_nowhere(tmp_path, _PASSWORD)


def test_the_token_of_a_channel_is_kept_nowhere(
    world: Downloading, private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _auth_file(private_home, monkeypatch, {"CondaToken": _PASSWORD})
    assert _PASSWORD not in repr(world.solve())
    world.link()
    _assert_nowhere(tmp_path, _PASSWORD)


def _assert_nowhere(root: Path, secret: str) -> None:
    """Find a secret in no name and in no content but of the files that hold it by purpose."""
    for path in root.rglob("*"):
        assert secret not in str(path)
        if path.is_file() and not path.is_symlink() and path.name not in _HOLDERS:
            assert secret.encode() not in path.read_bytes(), path


_HOLDERS = (".netrc", "netrc", "auth.json", "keyring", "pip.conf", ".condarc")


@pytest.mark.parametrize("way", _WAYS)
def test_without_a_login_it_is_said_where_it_belongs(world: Downloading, way: str) -> None:
    with pytest.raises(NetworkError) as caught:
        world.ways()[way]()
    assert caught.value.exit_code == 4
    if way != "pip":  # which does not say why
        assert "netrc" in caught.value.remedy


def test_a_file_of_logins_that_is_no_json(
    world: Downloading, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = private_home / "auth.json"
    path.write_text("{nope")
    monkeypatch.setenv("RATTLER_AUTH_FILE", str(path))
    for way in ("rattler", "uv", "download", "pages"):
        with pytest.raises(PolicyError, match=r"auth.json \(RATTLER_AUTH_FILE\) cannot be read"):
            world.ways()[way]()


def test_the_keyring_where_a_setting_turns_it_on(
    world: Downloading, private_home: Path, monkeypatch: pytest.MonkeyPatch, commands: list[str]
) -> None:
    program = private_home / "keyring"
    program.write_text(f'#!/bin/sh\n[ "$1 $3" = "get reader" ] && echo {_PASSWORD}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{private_home}:/usr/bin:/bin")
    index = parse_index(world.index.url.replace("//", "//reader@"))
    with pytest.raises(IndexUnreachableError, match="other credentials"):
        Uv(Indexes(index), _LIMIT).resolve(ask("app"), print)
    monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
    assert Uv(Indexes(index), _LIMIT).resolve(ask("app"), print)
    assert not [each for each in commands if _PASSWORD in each]


def test_a_login_goes_to_its_own_host_alone(
    private_home: Path, world: Downloading, packages: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _auth_file(private_home, monkeypatch, _BASIC)
    path.write_text(json.dumps({"other.example.invalid": _BASIC}))
    with pytest.raises(NetworkError, match="401"):
        world.solve()
    assert not [each for each in world.channel.asked if "authorization" in each.headers]
    assert packages


class _FailingChannel(_PrivateChannel):
    """Answers 500 or 404, or is busy, to who is let in."""

    status = 500

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        reply = super().answer(path, headers)
        return Reply(self.status, b"", "text/plain") if reply.status != 401 else reply


@pytest.mark.parametrize("status", [500, 403, 404, 429])
def test_no_failure_shows_the_token_of_a_channel(
    packages: Channel,
    private_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    _auth_file(private_home, monkeypatch, {"CondaToken": _PASSWORD})
    conda = Rattler(tmp_path / "conda", None, _LIMIT)
    heard = Said()
    with running(_FailingChannel(packages.root)) as server, running(IndexServer()) as index:
        server.status = status
        with pytest.raises(NetworkError) as caught:
            conda.solve(request(server.url, "lib"), heard)
        assert [each for each in server.requests if each.startswith(f"/t/{_PASSWORD}/")]
        with pytest.raises(NetworkError) as linking:
            Downloading(server, index, tmp_path).link()
    assert _PASSWORD not in f"{caught.value}{linking.value}{heard}"
