from __future__ import annotations

import os
from pathlib import Path

import pytest

from elt_env.errors import PolicyError
from elt_env.machine.network_settings import exported, find_network_settings, network_variables


def _pem(name: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----"


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """The variables of a user without settings, who trusts a system of one authority."""
    system = tmp_path / "system.pem"
    system.write_text(f"# of the system\n{_pem('system')}\n")
    cache = tmp_path / "cache"
    return {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(cache),
        "PIP_CONFIG_FILE": os.devnull,
        "CONDARC": os.devnull,
        "SSL_CERT_FILE": str(system),
    }


def _bundle(variables: dict[str, str]) -> str:
    found = network_variables(variables)
    paths = {found[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")}
    assert len(paths) == 1
    return paths.pop()


def test_one_bundle_is_taken_as_it_is(user: dict[str, str]) -> None:
    assert _bundle(user) == user["SSL_CERT_FILE"]


def test_what_git_alone_trusts_stays(user: dict[str, str]) -> None:
    assert network_variables(user)["GIT_SSL_CAINFO"] == user["SSL_CERT_FILE"]
    assert "GIT_SSL_CAINFO" not in network_variables(user | {"GIT_SSL_CAINFO": "/of/git.pem"})


def test_bundles_are_joined(user: dict[str, str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.pem").write_text(_pem(name))
    named = {"REQUESTS_CA_BUNDLE": str(tmp_path / "a.pem"), "PIP_CERT": str(tmp_path / "b.pem")}
    text = Path(_bundle(user | named)).read_text()
    assert [text.count(_pem(each)) for each in ("system", "a", "b")] == [1, 1, 1]


def test_a_bundle_that_holds_all_the_others_is_taken_as_it_is(
    user: dict[str, str], tmp_path: Path
) -> None:
    every = tmp_path / "every.pem"
    every.write_text(_pem("ours") + "\n" + _pem("system"))
    assert _bundle(user | {"REQUESTS_CA_BUNDLE": str(every)}) == str(every)


def test_a_bundle_that_changes_is_read_again(user: dict[str, str], tmp_path: Path) -> None:
    ours = tmp_path / "ours.pem"
    ours.write_text(_pem("one"))
    variables = user | {"CURL_CA_BUNDLE": str(ours)}
    assert _pem("one") in Path(_bundle(variables)).read_text()
    ours.write_text(_pem("another"))
    text = Path(_bundle(variables)).read_text()
    assert _pem("another") in text
    assert _pem("one") not in text


@pytest.mark.parametrize("content", [None, "no certificate\n"])
def test_a_bundle_that_cannot_be_used_is_named_with_its_setting(
    user: dict[str, str], tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ours.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(PolicyError, match=f"REQUESTS_CA_BUNDLE names.*{path}") as caught:
        network_variables(user | {"REQUESTS_CA_BUNDLE": str(path)})
    assert "Correct REQUESTS_CA_BUNDLE" in caught.value.remedy


def test_certificates_are_checked_whatever_conda_is_told(
    user: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / ".condarc"
    file.write_text("ssl_verify: false\n")
    del user["CONDARC"]
    found = find_network_settings(user)
    assert found.unverified == str(file)
    assert not found.bundles
    assert network_variables(user)["SSL_CERT_FILE"] == user["SSL_CERT_FILE"]


def test_variables_of_proxies_win_over_files(user: dict[str, str], tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nproxy = http://of-pip.invalid:1\n")
    user["PIP_CONFIG_FILE"] = str(conf)
    assert network_variables(user)["HTTPS_PROXY"] == "http://of-pip.invalid:1"
    found = network_variables(user | {"https_proxy": "http://mine.invalid:2"})
    assert found["HTTPS_PROXY"] == found["https_proxy"] == "http://mine.invalid:2"
    assert found["HTTP_PROXY"] == "http://of-pip.invalid:1"
    every = network_variables(user | {"ALL_PROXY": "http://all.invalid:3"})
    assert every["all_proxy"] == "http://all.invalid:3"
    assert "http_proxy" not in every


def test_no_password_of_a_proxy_is_in_a_representation(user: dict[str, str]) -> None:
    found = find_network_settings(user | {"HTTPS_PROXY": "http://me:hunter22@proxy.invalid:1"})
    assert "hunter22" not in repr(found)


def test_variables_are_exported_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELT_TEST_A", "before")
    monkeypatch.delenv("ELT_TEST_B", raising=False)
    with exported({"ELT_TEST_A": "inside", "ELT_TEST_B": "inside"}):
        assert (os.environ["ELT_TEST_A"], os.environ["ELT_TEST_B"]) == ("inside", "inside")
    assert os.environ["ELT_TEST_A"] == "before"
    assert "ELT_TEST_B" not in os.environ
