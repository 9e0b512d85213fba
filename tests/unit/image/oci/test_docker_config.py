from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from elt_env.image.oci.docker_config import Login, find_login

_AUTH = base64.b64encode(b"me:s3cret:with-colon").decode()


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / ".docker").mkdir()
    return tmp_path / ".docker" / "config.json"


def _auths(**entries: object) -> str:
    return json.dumps({"auths": entries})


@pytest.mark.parametrize(
    "key",
    [
        "r.example:5000",
        "https://r.example:5000",
        "http://r.example:5000/",
        "https://r.example:5000/v1/",
        "https://r.example:5000/v2/",
        "r.example:5000/team",
        "r.example:5000/team/elt",
    ],
)
def test_finds_the_entry_of_a_repository(config: Path, key: str) -> None:
    config.write_text(_auths(**{key: {"auth": _AUTH}}))

    found = find_login("r.example:5000", "team/elt").login

    assert found == Login(str(config), "me", "s3cret:with-colon")


@pytest.mark.parametrize("key", ["r.example", "r.example:50", "r.example:5000/te", "other"])
def test_another_registrys_entry_is_not_used(config: Path, key: str) -> None:
    config.write_text(_auths(**{key: {"auth": _AUTH}}))

    found = find_login("r.example:5000", "team/elt")

    assert found.login is None
    assert found.looked_in[0] == f"{config} (nothing for r.example:5000)"


def test_the_nearest_entry_wins(config: Path) -> None:
    other = base64.b64encode(b"other:pw").decode()
    config.write_text(_auths(**{"r.example": {"auth": other}, "r.example/team": {"auth": _AUTH}}))

    login = find_login("r.example", "team/elt").login

    assert login is not None
    assert login.username == "me"


def test_reads_tokens_and_plain_names(config: Path) -> None:
    config.write_text(
        _auths(
            a={"auth": _AUTH, "identitytoken": "t0ken"},
            b={"username": "me", "password": "s3cret"},
        )
    )

    assert find_login("a", "x").login == Login(str(config), identity_token="t0ken")  # noqa: S106
    assert find_login("b", "x").login == Login(str(config), "me", "s3cret")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"auths": []}', "nothing for r.example"),
        ('{"auths": {"r.example": "me:pw"}}', "nothing for r.example"),
        ('{"auths": {"r.example": {}}}', "nothing for r.example"),
        ('{"auths": {"r.example": {"auth": "%%%"}}}', "nothing for r.example"),
        ('{"auths": {"r.example": {"auth": "/w=="}}}', "nothing for r.example"),
        ('{"credHelpers": {"r.example": "../evil"}}', "a credential helper that is none"),
    ],
)
def test_says_why_a_file_gave_nothing(config: Path, text: str, reason: str) -> None:
    config.write_text(text)

    found = find_login("r.example", "elt")

    assert found.login is None
    assert reason in found.looked_in[0]


def test_looks_in_the_named_files_first(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(_auths(r={"username": "home", "password": "pw"}))
    (tmp_path / "config.json").write_text(_auths(r={"username": "docker", "password": "pw"}))
    (tmp_path / "auth.json").write_text(_auths(r={"username": "file", "password": "pw"}))

    def user() -> str:
        login = find_login("r", "elt").login
        return login.username if login else ""

    assert user() == "home"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert user() == "docker"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    assert user() == "file"


def test_podmans_own_file_is_looked_in_last(tmp_path: Path) -> None:
    path = tmp_path / "run" / "containers" / "auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(_auths(r={"auth": _AUTH}))

    found = find_login("r", "elt")

    assert found.login == Login(str(path), "me", "s3cret:with-colon")
    assert found.looked_in == (f"{tmp_path}/.docker/config.json (not there)", str(path))


def test_every_place_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))

    assert find_login("r", "elt").looked_in == (
        f"{tmp_path}/auth.json (not there)",
        f"{tmp_path}/.docker/config.json (not there)",
        f"{tmp_path}/run/containers/auth.json (not there)",
    )


def test_a_login_shows_no_secret() -> None:
    shown = repr(Login("file", "me", "s3cret", "t0ken"))

    assert not [each for each in ("me", "s3cret", "t0ken") if each in shown.removeprefix("Login")]
