from __future__ import annotations

import email.utils
import ssl
import time

import httpx
import pytest

from elt_env.index.http_client import retry_after, tls_error


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5.0), ("0", 0.0), ("", None), ("soon", None), ("-1", None), ("٣", None)],
)
def test_reads_how_long_to_wait(text: str, expected: float | None) -> None:
    # As a server sends it: bytes.
    assert retry_after(httpx.Headers([(b"Retry-After", text.encode())])) == expected


def test_reads_until_when_to_wait() -> None:
    moment = email.utils.formatdate(time.time() + 60, usegmt=True)

    found = retry_after(httpx.Headers({"Retry-After": moment}))

    assert found is not None
    assert 50 < found <= 60


def test_finds_the_cause_of_an_error() -> None:
    cause = ssl.SSLCertVerificationError("no")
    error = httpx.ConnectError("no")
    error.__cause__ = OSError("between")
    error.__cause__.__context__ = cause

    assert tls_error(error) is cause
    assert tls_error(httpx.ConnectError("no")) is None
