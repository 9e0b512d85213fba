"""Causes of failed HTTP connections, whichever library reports them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from elt_env.errors import (
    CertificateError,
    EltEnvError,
    IndexUnreachableError,
    NetworkError,
    ProxyError,
)
from elt_env.machine.process import end_of
from elt_env.runtime.credentials import without_credentials

# In OpenSSL's words, then in those of rustls.
_CERTIFICATE = re.compile(
    r"certificate verify failed:? ?(?P<openssl>[^(\n\\]*)|"
    r"invalid peer certificate: (?P<rustls>[^\n]*)",
    re.IGNORECASE,
)
_CAUSES: Mapping[str, str] = {
    r"not yet valid|not valid yet|NotValidYet": "it is not valid yet, or this clock is wrong",
    r"expired": "it has expired",
    r"mismatch|not valid for|NotValidForName": "it is for another host name",
    r"revoked": "it was revoked",
    r"self.signed certificate in certificate chain|unable to get (local )?issuer|UnknownIssuer": (
        "it is signed by an authority that is not trusted here, or by itself"
    ),
    r"self.signed|CaUsedAsEndEntity": "it is signed by itself",
}

_PROXY = re.compile(
    r"407 proxy|proxy authenti[cz]at|proxy authorization required|"
    r"tunnel error(?!: failed to create)|tunnel connection failed",
    re.IGNORECASE,
)
_AUTHENTICATION = re.compile(r"\b407\b|proxy auth", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s)'\"`,]+")
_HOST = re.compile(r"host='(?P<host>[^']+)', port=(?P<port>\d+)")
_BUSY = re.compile(r"\b(?:429 Too Many|503 Service|HTTP error (?:429|503)\b)")


class TryAgainError(Exception):
    """A failure that may be gone at the next attempt.

    Attributes:
        otherwise: the error that it is when it stays.
        url: where a server answered 429 or 503, which may say when to ask again; else "".
        seconds: what it said, if that is known.
    """

    def __init__(self, otherwise: EltEnvError, url: str = "", seconds: float | None = None) -> None:
        super().__init__(str(otherwise))
        self.otherwise = otherwise
        self.url = url
        self.seconds = seconds


def refusal(text: str, place: str = "") -> NetworkError | None:
    """Return the error for a certificate or a proxy that stands in the way, or None.

    Args:
        text: what a program or a library said.
        place: the URL that was asked for, where the text names none.
    """
    host = _host(text, place)
    certificate = _CERTIFICATE.search(text)
    if certificate:
        return certificate_error(host, certificate["openssl"] or certificate["rustls"] or "")
    if _PROXY.search(text):
        return _proxy_error(host, text)
    return None


def certificate_error(host: str, said: str) -> CertificateError:
    """Return the error for a certificate that is refused; `said` is the library's reason."""
    known = (words for cause, words in _CAUSES.items() if re.search(cause, said, re.IGNORECASE))
    cause = next(known, "")
    words = cause or without_credentials(said.strip().rstrip(".")) or "it cannot be verified"
    return CertificateError(
        f"The certificate of {host} is not accepted: {words}.", _certificate_remedy(host, words)
    )


def _certificate_remedy(host: str, words: str) -> str:
    if words.startswith("it is signed"):
        return (
            "If the company or its proxy has an authority of its own, set SSL_CERT_FILE to a file "
            "that holds it beside the public ones, or REQUESTS_CA_BUNDLE, PIP_CERT, pip's 'cert' "
            "or conda's 'ssl_verify' to one that holds it alone. Certificates are always checked, "
            "whatever 'ssl_verify: false' or 'trusted-host' says."
        )
    if words.startswith("it is for another"):
        return f"Use the name that the certificate of {host} was made for, or correct the server."
    if words.startswith("it is not valid yet"):
        return "Set the clock of this machine, or let the owner of the server renew it."
    return f"Ask the owner of {host}, or of the proxy in between, for a valid certificate."


def _proxy_error(host: str, text: str) -> ProxyError:
    if _AUTHENTICATION.search(text):
        return ProxyError(
            f"The proxy on the way to {host} wants another user name and password (HTTP 407).",
            "Put them into HTTPS_PROXY and HTTP_PROXY (http://USER:PASSWORD@PROXY:PORT), or name "
            "the host in NO_PROXY if it needs no proxy.",
        )
    line = next(line for line in text.splitlines() if _PROXY.search(line))
    return ProxyError(
        f"The proxy on the way to {host} does not let this through: "
        f"{without_credentials(line.strip())[:300]}.",
        "Correct HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY if it needs no proxy.",
    )


def busy_url(text: str) -> str:
    """Return the URL at which a server answered 429 or 503, "" where none did."""
    for line in text.splitlines():
        if _BUSY.search(line):
            found = _URL.search(line)
            if found:
                return found[0]
    return ""


def busy(text: str) -> TryAgainError | None:
    """Return the failure of a program to which a server said that it shall be asked later."""
    url = busy_url(text)
    if not url:
        return None
    otherwise = IndexUnreachableError(
        f"{without_credentials(url)} cannot be had now: {end_of(text.strip(), 6)}",
        "The server gets more requests than it answers: run the same command later.",
    )
    return TryAgainError(otherwise, url)


def _host(text: str, place: str) -> str:
    named = _HOST.search(text)
    if named:
        port = "" if named["port"] in ("443", "80") else f":{named['port']}"
        return f"{named['host']}{port}"
    url = place or next(iter(_URL.findall(text)), "")
    return urlsplit(url).netloc.rpartition("@")[2] or "the server"
