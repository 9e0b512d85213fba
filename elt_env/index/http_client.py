"""The HTTP client of this project's own requests: one rule for who asks, trust and waiting.

Whatever is downloaded, the same certificates and proxies (`network_settings`) and the same
credentials (`logins`) are used, and a server that asks to be left alone for a while is.
"""

from __future__ import annotations

import email.utils
import logging
import math
import random
import ssl
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import httpx

from elt_env.errors import NetworkError
from elt_env.index.http_errors import TryAgainError, certificate_error, refusal
from elt_env.machine.logins import Logins
from elt_env.machine.network_settings import exported, network_variables
from elt_env.machine.process import Say
from elt_env.runtime.cancelling import go_on

_Result = TypeVar("_Result")
_CONNECT = 15.0
_SILENCE = 60.0  # seconds without a byte
_FIRST_PAUSE = 0.25
_LONGEST_WAIT = 300.0  # seconds that a server may ask for
_TICK = 0.5
BUSY = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
"""The answers of a server that wants to be asked later."""

REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
"""The answers of a server that does not let this user in."""

# Its lines carry whole URLs, and those of a registry's storage are signed.
logging.getLogger("httpx").setLevel(logging.WARNING)


def open_client(
    logins: Logins | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    connections: int = 10,
    silence: float = _SILENCE,
) -> httpx.Client:
    """Return a new client, to be closed by the caller; threads may share it.

    It follows redirects, and tells each host the login that is meant for it, no other.

    Args:
        logins: None for requests that carry their own credentials.
        headers: of every request.
        connections: how many it has open at most.
        silence: seconds that a server may be silent.

    Raises:
        PolicyError: a setting of certificates, proxies or credentials cannot be used.
    """

    def add_login(request: httpx.Request) -> None:
        login = logins.find(str(request.url)) if logins else None
        if login is None or "Authorization" in request.headers:
            return
        if login.header:
            request.headers["Authorization"] = login.header
        elif login.conda_token and not request.url.path.startswith("/t/"):
            request.url = request.url.copy_with(path=f"/t/{login.conda_token}{request.url.path}")

    with exported(network_variables()):
        return httpx.Client(
            verify=trust(),
            follow_redirects=True,
            headers={"User-Agent": "elt-env", **(headers or {})},
            limits=httpx.Limits(max_connections=connections),
            timeout=httpx.Timeout(silence, connect=min(silence, _CONNECT)),
            event_hooks={"request": [add_login]},
        )


def trust() -> ssl.SSLContext:
    """Return the certificates of the system, or those that SSL_CERT_FILE and SSL_CERT_DIR name."""
    paths = ssl.get_default_verify_paths()
    changed = Path(paths.cafile).stat().st_mtime_ns if paths.cafile else 0
    return _context(paths.cafile, paths.capath, changed)


@lru_cache(maxsize=4)
def _context(file: str | None, directory: str | None, changed: int) -> ssl.SSLContext:
    """Return what trusts a file and a directory; reading them takes longer than a request."""
    del changed
    if file or directory:
        return ssl.create_default_context(cafile=file, capath=directory)
    return httpx.create_ssl_context()  # an interpreter that does not know where the system has them


def tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """Return the TLS library's own error behind httpx's."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def refused(error: httpx.HTTPError, url: str) -> NetworkError | None:
    """Return the error for a certificate or a proxy that stands in the way, or None."""
    tls = tls_error(error)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return certificate_error(httpx.URL(url).netloc.decode(), tls.verify_message)
    if isinstance(error, httpx.ProxyError):
        return refusal(f"tunnel error: {error}", url)
    if isinstance(error, httpx.HTTPStatusError):
        return refused_by_proxy(error.response)
    return None


def refused_by_proxy(answer: httpx.Response) -> NetworkError | None:
    """Return the error for a proxy that wants to know who asks, or None."""
    is_refused = answer.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED
    return refusal("407 Proxy Authentication Required", str(answer.url)) if is_refused else None


def diagnosis(url: str) -> NetworkError | None:
    """Return the error for a certificate or a proxy that stands between here and a URL, or None.

    For tools that do not say why nothing could be had.
    """
    try:
        with open_client(silence=_CONNECT) as client, client.stream("GET", url) as answer:
            return refused_by_proxy(answer)
    except httpx.HTTPError as error:
        return refused(error, url)
    except httpx.InvalidURL:
        return None


def answers_with_page(url: str, logins: Logins) -> bool:
    """Tell whether what answers at a file's URL is a web page, as that of a proxy may be."""
    try:
        with (
            open_client(logins, silence=_CONNECT) as client,
            client.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer,
        ):
            return is_page(answer)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def is_page(answer: httpx.Response) -> bool:
    """Tell whether an answer is a web page."""
    kind: str = answer.headers.get("Content-Type", "")
    return answer.is_success and kind.startswith("text/html")


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3)."""
    text: str = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:6])
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, moment - time.time())


def pause(attempt: int) -> float:
    """Return how long to wait before the next attempt: twice as long each time, never the same."""
    jitter = random.uniform(0.5, 1.5)  # noqa: S311  # no secret
    return _FIRST_PAUSE * float(2**attempt) * jitter


def wait(seconds: float) -> None:
    """Wait, unless the work is given up meanwhile.

    Raises:
        CancelledError: it was.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        go_on()
        time.sleep(min(left, _TICK))


def patiently(
    work: Callable[[], _Result], *, logins: Logins, tries: int, limit: float, say: Say
) -> _Result:
    """Return what `work` comes to, done again where a failure may pass.

    A server that answers 429 or 503 with Retry-After is left alone for as long as it says, as
    often as it says so. Tools pass on that answer without its headers, so it is asked once more.

    Args:
        work: raises TryAgainError for a failure that may pass.
        logins: for the question.
        tries: how often `work` is done where no server says when to come again.
        limit: seconds that all the waiting may take.
        say: hears of each wait.

    Raises: what `work` raises; the error behind a TryAgainError in the end.
    """
    end = time.monotonic() + limit
    untold = 0
    while True:
        try:
            return work()
        except TryAgainError as error:
            seconds = error.seconds
            if seconds is None and error.url:
                seconds = _told(error.url, logins)
            if seconds is None:
                untold += 1
                seconds = pause(untold) if untold < tries else math.inf
            if seconds > min(_LONGEST_WAIT, end - time.monotonic()):
                raise error.otherwise from error
            if error.url:
                say(f"{httpx.URL(error.url).host} asks to wait: again in {math.ceil(seconds)} s")
            wait(seconds)


def _told(url: str, logins: Logins) -> float | None:
    """Return the seconds that a server wants to be left alone, None where it does not say."""
    try:
        with (
            open_client(logins, silence=_CONNECT) as client,
            client.stream("GET", url, headers={"Range": "bytes=0-0"}) as answer,
        ):
            return retry_after(answer.headers) if answer.status_code in BUSY else None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
