from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import RegistryError
from elt_env.image.oci.registry_auth import Authorizer, Challenge, parse_challenges

_BEARER = Challenge("bearer", {"realm": "https://auth.example/token", "service": "r.example"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ('Basic realm="a b"', (Challenge("basic", {"realm": "a b"}),)),
        ("Basic", (Challenge("basic"),)),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
            (
                Challenge(
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"},
                ),
            ),
        ),
        (
            'BASIC Realm=x , bearer realm = "y\\"z" ,error=invalid_token',
            (
                Challenge("basic", {"realm": "x"}),
                Challenge("bearer", {"realm": 'y"z', "error": "invalid_token"}),
            ),
        ),
        ("Negotiate, Basic realm=x", (Challenge("negotiate"), Challenge("basic", {"realm": "x"}))),
        ('realm="lost"', ()),
    ],
)
def test_reads_challenges(header: str, expected: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header) == expected


_WORDS = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
_CHALLENGES = st.lists(
    st.builds(Challenge, _WORDS, st.dictionaries(_WORDS, st.text(), max_size=3)), max_size=3
)


def _written(challenge: Challenge) -> str:
    quoted = {
        name: value.replace("\\", "\\\\").replace('"', '\\"')
        for name, value in challenge.parameters.items()
    }
    parameters = ", ".join(f'{name}="{value}"' for name, value in quoted.items())
    return f"{challenge.scheme} {parameters}".strip()


@given(_CHALLENGES)
def test_what_is_written_is_read_again(challenges: list[Challenge]) -> None:
    assert parse_challenges(", ".join(map(_written, challenges))) == tuple(challenges)


@given(st.text())
def test_nonsense_is_read_to_its_end(header: str) -> None:
    parse_challenges(header)


class _Server:
    """Stands in for the token server: keeps what it is asked, answers what it is told to."""

    def __init__(self, status: int = 200, content: object = None) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = status, json.dumps(content or {"token": "t0ken"}).encode()

    def __call__(self, request: httpx.Request) -> tuple[int, bytes]:
        self.asked.append(request)
        return self._answer


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "config.json"


def _authorizer(server: _Server) -> Authorizer:
    return Authorizer(*("r.example", "elt", "pull,push"), server, lambda url: url.scheme == "https")


def test_without_credentials_a_token_is_asked_for_all_the_same(config: Path) -> None:
    assert not config.exists()
    server = _Server()
    authorizer = _authorizer(server)

    assert authorizer.renew(None, (_BEARER,))

    assert authorizer.header == "Bearer t0ken"
    assert not authorizer.known
    query = parse_qs(server.asked[0].url.query.decode())
    assert query == {"service": ["r.example"], "scope": ["repository:elt:pull,push"]}
    assert "authorization" not in server.asked[0].headers


def test_an_identity_token_is_changed_for_a_token(config: Path) -> None:
    config.write_text('{"auths": {"r.example": {"identitytoken": "ident1ty"}}}')
    server = _Server(content={"access_token": "other"})
    authorizer = _authorizer(server)

    assert authorizer.renew(None, (_BEARER,))

    assert authorizer.header == "Bearer other"
    form = parse_qs(server.asked[0].content.decode())
    assert server.asked[0].method == "POST"
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["ident1ty"]
    assert "ident1ty" not in str(server.asked[0].url)


def test_basic_is_tried_once(config: Path) -> None:
    config.write_text('{"auths": {"r.example": {"username": "me", "password": "s3cret"}}}')
    authorizer = _authorizer(_Server())
    basic = (Challenge("basic", {"realm": "x"}),)

    assert authorizer.renew(None, basic)
    assert not authorizer.renew(authorizer.header, basic)
    assert authorizer.header == "Basic " + base64.b64encode(b"me:s3cret").decode()


def test_what_another_thread_got_is_used(config: Path) -> None:
    assert not config.exists()
    server = _Server()
    authorizer = _authorizer(server)
    authorizer.renew(None, (_BEARER,))

    assert authorizer.renew(None, (_BEARER,))
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_of_the_token_server_stands(config: Path, status: int) -> None:
    assert not config.exists()

    assert not _authorizer(_Server(status)).renew(None, (_BEARER,))


@pytest.mark.parametrize("realm", ["http://auth.example/token", "", "nonsense", "https:///token"])
def test_no_secret_is_sent_in_the_clear(config: Path, realm: str) -> None:
    config.write_text('{"auths": {"r.example": {"username": "me", "password": "s3cret"}}}')
    server = _Server()

    with pytest.raises(RegistryError):
        _authorizer(server).renew(None, (Challenge("bearer", {"realm": realm}),))

    assert server.asked == []


@pytest.mark.parametrize("content", [{"token": 1}, ["token"], {"token": "a\nb"}, {"other": "x"}])
def test_an_answer_without_a_token_is_nonsense(config: Path, content: object) -> None:
    assert not config.exists()

    with pytest.raises(RegistryError, match="is no registry, or broken"):
        _authorizer(_Server(content=content)).renew(None, (_BEARER,))


def test_secrets_are_masked_and_not_in_its_repr(config: Path) -> None:
    config.write_text('{"auths": {"r.example": {"username": "me", "password": "s3cret"}}}')
    authorizer = _authorizer(_Server())
    authorizer.renew(None, (_BEARER,))

    shown = authorizer.mask(f"s3cret t0ken {base64.b64encode(b'me:s3cret').decode()}")
    assert shown == "*** *** ***"
    assert "s3cret" not in repr(authorizer)
    assert "t0ken" not in repr(authorizer)
