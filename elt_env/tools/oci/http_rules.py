"""Rules of HTTP and TLS that a registry's client follows."""

from __future__ import annotations

import email.utils
import logging
import ssl
import time

import httpx

# OpenSSL's names for an answer that is not TLS at all.
NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "HTTP_REQUEST",
)

# Its lines carry whole URLs, and those of a registry's storage are signed.
logging.getLogger("httpx").setLevel(logging.WARNING)


def trust() -> ssl.SSLContext:
    """Return the certificates of the system, or those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        return ssl.create_default_context()
    return httpx.create_ssl_context()  # an interpreter that does not know where the system has them


def tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the TLS library's own error behind httpx's."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3)."""
    text: str = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - time.time())
