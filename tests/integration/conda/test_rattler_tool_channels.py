"""Channels that are private, broken, or not there."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import rattler

from elt_env.conda import Linker, Solver
from elt_env.conda.channels import ChannelNames, find_channels
from elt_env.conda.rattler_client import open_client
from elt_env.conda.rattler_link import RattlerLinker
from elt_env.conda.rattler_tool import Rattler
from elt_env.errors import (
    ChannelUnreachableError,
    EltEnvError,
    NetworkError,
    SpecError,
    TimeLimitError,
)
from elt_env.machine.condarc import read_conda_settings
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.spec.conda_spec import CondaSpec
from tests.support.channel import Channel, ChannelServer, Fault
from tests.support.index_server import dead_url
from tests.support.loopback import Reply, running
from tests.support.solving import replace_archive, request

_LIMIT = 120.0
_POLICY = Policy(environments={"elt": EnvironmentPolicy(spec="elt.yml", pythons=("3.11",))})


def test_a_requirement_that_rattler_cannot_read(packages: Channel, conda: Solver) -> None:
    with pytest.raises(SpecError, match="not valid"):
        conda.solve(replace(request(packages.url), specs=(CondaSpec("lib", ">=1.0.0.*.1"),)))


def test_something_that_cannot_be_a_channel(conda: Solver) -> None:
    with pytest.raises(SpecError, match=r"'ht!tp://' is not a channel"):
        conda.channel_urls(["ht!tp://"])


@pytest.mark.parametrize("channel", ["https://me:hunter22@host.invalid/c", "t/hunter22/c"])
def test_a_credential_in_a_channel_gets_no_further(conda: Solver, channel: str) -> None:
    with pytest.raises(SpecError, match="carries a credential") as caught:
        conda.solve(request(channel, "lib"))
    assert "hunter22" not in str(caught.value)
    assert "RATTLER_AUTH_FILE" in caught.value.remedy


def test_a_channel_name_follows_the_alias(tmp_path: Path) -> None:
    conda = Rattler(tmp_path, ChannelNames("https://channels.example.invalid/conda"), _LIMIT)
    assert conda.channel_urls(["forge", "https://a.example.invalid/x/", "forge/"]) == (
        "https://channels.example.invalid/conda/forge",
        "https://a.example.invalid/x",
    )


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("404", NetworkError, "does not answer with repodata"),
        ("nonsense", NetworkError, "does not answer with repodata"),
        ("500", ChannelUnreachableError, "cannot be reached"),
    ],
)
def test_a_channel_with_a_fault(
    *,
    packages: Channel,
    server: ChannelServer,
    conda: Solver,
    fault: Fault,
    error: type[EltEnvError],
    words: str,
) -> None:
    del packages
    server.fault = fault
    with pytest.raises(EltEnvError, match=f"{server.url} {words}") as caught:
        conda.solve(request(server.url, "lib"))
    assert type(caught.value) is error
    assert (caught.value.exit_code, caught.value.retryable) == (4, True)
    assert not conda.reachable((server.url,))


def test_repodata_that_are_not_json_are_not_taken_for_an_unreachable_channel(
    packages: Channel, server: ChannelServer, conda: Solver
) -> None:
    # An error in column 500 is no HTTP status 500.
    for repodata in packages.root.glob("*/repodata.json"):
        repodata.write_text("{" + " " * 498 + "?")
    with pytest.raises(NetworkError) as caught:
        conda.solve(request(server.url, "lib"))
    assert type(caught.value) is NetworkError


def test_a_channel_where_nobody_answers_is_named(packages: Channel, conda: Solver) -> None:
    dead = dead_url()
    wanted = replace(request(packages.url, "lib"), channels=(packages.url, dead))
    with pytest.raises(ChannelUnreachableError, match=f"channel {dead} cannot") as caught:
        conda.solve(wanted)
    assert 'channel-fallback = "host"' in caught.value.remedy
    assert not conda.reachable((dead,))
    assert conda.reachable((packages.url,))


def test_a_channel_that_does_not_answer_in_time(server: ChannelServer, tmp_path: Path) -> None:
    server.fault = "slow"
    with pytest.raises(TimeLimitError, match="longer than 1 s") as caught:
        Rattler(tmp_path / "cache", None, 1.0).solve(request(server.url, "lib"))
    assert "tool-limit" in caught.value.remedy


class _PrivateServer(ChannelServer):
    """Lets in who knows the password."""

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        login = "Basic " + base64.b64encode(b"reader:open-sesame").decode()
        if headers.get("authorization") == login:
            return super().answer(path, headers)
        return Reply(401, b"log in first", "text/plain", {"WWW-Authenticate": "Basic"})


def test_a_private_channel(
    packages: Channel,
    conda: Solver,
    linker: Linker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = {"BasicHTTP": {"username": "reader", "password": "open-sesame"}}
    with running(_PrivateServer(packages.root)) as server:
        with pytest.raises(NetworkError, match=r"refuses access \(401") as caught:
            conda.solve(request(server.url, "lib=1"))
        assert type(caught.value) is NetworkError
        assert "RATTLER_AUTH_FILE" in caught.value.remedy
        (tmp_path / "auth.json").write_text(json.dumps({"127.0.0.1": login}))
        monkeypatch.setenv("RATTLER_AUTH_FILE", str(tmp_path / "auth.json"))
        found = conda.solve(request(server.url, "lib=1", "python=3.11"))
        linker.link(found, tmp_path / "prefix", (), print)
    assert "open-sesame" not in repr(found)
    assert not [
        record
        for record in (tmp_path / "prefix" / "conda-meta").iterdir()
        if record.is_file() and "open-sesame" in record.read_text()
    ]


@pytest.mark.parametrize("setting", ["channel_alias: {}", "custom_channels: {{channel: '{}'}}"])
def test_credentials_in_condarc_are_used_and_go_nowhere(
    packages: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    with running(_PrivateServer(packages.root)) as server:
        host = server.base_url.removeprefix("http://")
        written = setting.format(f"http://reader:open-sesame@{host}")
        (tmp_path / "rc.yml").write_text(written)
        monkeypatch.setenv("CONDARC", str(tmp_path / "rc.yml"))
        names = find_channels(_POLICY, read_conda_settings(), tmp_path).names
        conda = Rattler(tmp_path / "cache", names, _LIMIT)
        assert conda.channel_urls(["channel"]) == (server.url,)
        found = conda.solve(request("channel", "lib=1", "python=3.11"))
        RattlerLinker(tmp_path / "cache", _LIMIT).link(found, tmp_path / "prefix", (), print)
    assert "open-sesame" not in repr(found)
    kept = [
        path
        for root in (tmp_path / "prefix", tmp_path / "cache")
        for path in root.rglob("*")
        if path.is_file() and b"open-sesame" in path.read_bytes()
    ]
    assert not kept


def test_who_is_killed_while_a_client_is_made_leaves_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At that moment they are in what the client reads, and in no file of a disk."""
    (tmp_path / "rc.yml").write_text("channel_alias: http://reader:open-sesame@channel.invalid")
    monkeypatch.setenv("CONDARC", str(tmp_path / "rc.yml"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    made: list[str] = []

    def make(**_: object) -> None:
        made.append(Path(os.environ["RATTLER_AUTH_FILE"]).read_text())
        assert [*(tmp_path / "tmp").rglob("*")] == []

    monkeypatch.setattr(rattler.Client, "default_client", make)
    open_client()
    assert "open-sesame" in made[0]


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_package_that_is_listed_and_cannot_be_read(
    packages: Channel, server: ChannelServer, conda: Solver, damage: str, *, served: bool
) -> None:
    archive = packages.root / "noarch" / "lib-2.0-0.conda"
    if damage == "gone":
        archive.unlink()
    else:
        replace_archive(archive, archive.read_bytes()[:100])
    url = server.url if served else packages.url
    with pytest.raises(
        NetworkError, match=f"{url}/noarch/lib-2.0-0.conda cannot be read"
    ) as caught:
        conda.solve(request(url, "lib"))
    assert "another version" in caught.value.remedy
