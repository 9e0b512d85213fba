from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import CertificateError, ProxyError
from elt_env.index.http_errors import busy_url, refusal

_URL = "https://host.invalid:8443/c/noarch/repodata.json"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("invalid peer certificate: UnknownIssuer", "authority that is not trusted here"),
        ("invalid peer certificate: certificate expired: verification time 1 (UNIX)", "expired"),
        ("invalid peer certificate: certificate not valid yet: verification", "not valid yet"),
        ('invalid peer certificate: certificate not valid for name "a"; it is', "another host"),
        ("certificate verify failed: certificate has expired (_ssl.c:1006)", "expired"),
        ("certificate verify failed: self-signed certificate (_ssl.c:1)", "signed by itself"),
        ("certificate verify failed: self signed certificate in certificate chain", "not trusted"),
        ("certificate verify failed: unable to get local issuer certificate", "not trusted here"),
        ("certificate verify failed: Hostname mismatch, certificate is not valid", "another host"),
        ("invalid peer certificate: SomethingNew", "SomethingNew"),
    ],
)
def test_what_is_wrong_with_a_certificate(said: str, cause: str) -> None:
    error = refusal(f"error sending request for url ({_URL})\nCaused by: {said}")
    assert isinstance(error, CertificateError)
    assert "The certificate of host.invalid:8443 is not accepted" in error.problem
    assert cause in error.problem
    assert (error.exit_code, error.retryable) == (4, False)
    assert error.remedy


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tunnel error: proxy authorization required", "another user name and password"),
        ("HTTP status client error (407 Proxy Authentication Required)", "another user name"),
        ("OSError('Tunnel connection failed: 407 Proxy Authentication Required')", "another user"),
        ("tunnel error: unsuccessful", "does not let this through"),
        ("OSError('Tunnel connection failed: 403 Forbidden')", "does not let this through"),
    ],
)
def test_what_a_proxy_refuses(said: str, words: str) -> None:
    error = refusal(f"{said} for {_URL}")
    assert isinstance(error, ProxyError)
    assert "on the way to host.invalid:8443" in error.problem
    assert words in error.problem


@pytest.mark.parametrize(
    "said",
    [
        "tunnel error: failed to create underlying connection",
        "tcp connect error: Connection refused (os error 111) at 127.0.0.1:40712",
        "HTTP status client error (404 Not Found)",
        "",
    ],
)
def test_what_is_neither(said: str) -> None:
    assert refusal(said, _URL) is None


def test_a_host_in_the_words_of_urllib3() -> None:
    text = "HTTPSConnectionPool(host='a.invalid', port=443): certificate verify failed: x"
    error = refusal(text)
    assert error is not None
    assert "The certificate of a.invalid is" in error.problem


def test_no_credential_of_a_url_is_in_an_error() -> None:
    error = refusal("tunnel error: unsuccessful https://me:hunter22@host.invalid/c")
    assert "hunter22" not in str(error)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_where_a_server_is_busy(status: str) -> None:
    text = f"failed\nCaused by: HTTP status client error ({status}) for url ({_URL})"
    assert busy_url(text) == _URL
    assert not busy_url(f"HTTP status server error (500 Internal) for url ({_URL})")
    assert not busy_url("it is 429 lines long")


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert refusal(text) is None or str(refusal(text))
    assert isinstance(busy_url(text), str)
