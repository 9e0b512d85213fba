"""HTTP with one repository of a registry: who asks, where it is, and what may be tried again.

The requests are those of the OCI Distribution Specification 1.1.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import httpx

from elt_env.errors import TimeLimitError
from elt_env.image.oci.registry_auth import Authorizer, parse_challenges
from elt_env.image.oci.registry_errors import (
    PassingError,
    nonsense,
    read_said,
    refusal,
    unreachable,
)
from elt_env.image.reference import Reference, host_name, is_loopback
from elt_env.index.http_client import open_client, refused, retry_after, tls_error, wait
from elt_env.machine.process import Say
from elt_env.runtime.cancelling import go_on

Body = Callable[[], Iterable[bytes]]
"""Yields the bytes to send, anew for every attempt."""

# OpenSSL's names for an answer that is not TLS at all.
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "HTTP_REQUEST",
)
_CONNECT = 15.0
_SILENCE = 60.0  # seconds without a byte
_LARGEST = 4 << 20  # bytes of an answer kept in memory; a manifest has to fit (Specification 1.1)
_REDIRECTS = 5
_FULL = httpx.codes.INSUFFICIENT_STORAGE
_LATER = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS)
_ATTEMPTS = 5
_LONGEST = 60.0  # seconds between two attempts, unless the registry asks for more

_T = TypeVar("_T")


class Effort:
    """The patience of one push or pull, shared by its threads.

    Args:
        what: is done, for messages, as in `pushing to registry.example/team/elt`.
        host: the registry.
        limit: seconds it may take.
        backoff: seconds before the second attempt; they double with every further one.
    """

    def __init__(self, what: str, host: str, limit: float, backoff: float, say: Say) -> None:
        self._what = what
        self._host = host
        self._limit = limit
        self._backoff = backoff
        self._say = say
        self._end = time.monotonic() + limit

    def left(self) -> float:
        """Return how many seconds are left.

        Raises:
            TimeLimitError: none.
            CancelledError: another thread failed, or the run was cancelled.
        """
        go_on()
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeLimitError(
                f"{self._what[0].upper()}{self._what[1:]} took longer than {self._limit:g} s.",
                "Run the same command again, which goes on with what is missing; "
                "or raise tool-limit in [tool.elt-env].",
            )
        return left

    def pause(self, failures: int, trouble: PassingError) -> None:
        """Wait before the attempt after so many failures in a row.

        Raises:
            RegistryError: there were enough.
            TimeLimitError, CancelledError: as `left`.
        """
        left = self.left()
        if failures >= _ATTEMPTS:
            raise unreachable(self._host, f"{trouble.cause}; {_ATTEMPTS} attempts") from trouble
        longest = min(self._backoff * 2 ** (failures - 1), _LONGEST)
        # Jitter, lest all who were cut off together come back together.
        seconds = trouble.pause or longest * random.uniform(0.5, 1)  # noqa: S311
        self._say(f"registry: {self._host}: {trouble.cause}; trying again in {seconds:.1f} s")
        wait(min(seconds, left))
        self.left()

    def persistently(self, act: Callable[[], _T]) -> _T:
        """Return what `act` returns, tried again while its failure may pass.

        Raises:
            RegistryError, TimeLimitError: it did not pass.
            And what `act` raises.
        """
        for failures in itertools.count(1):
            self.left()
            try:
                return act()
            except PassingError as trouble:
                self.pause(failures, trouble)
        raise AssertionError


@dataclass(frozen=True)
class Answer:
    """What a registry answered.

    Attributes:
        body: at most 4 MiB of it.
    """

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)


class RegistryClient:
    """One repository of a registry; threads may share it. `connected` makes one."""

    def __init__(
        self,
        reference: Reference,
        actions: str,
        insecure: Collection[str],
        effort: Effort,
        http: httpx.Client,
    ) -> None:
        self.repository = f"{reference.registry}/{reference.repository}"
        self.effort = effort
        self._reference = reference
        self._doing = "push to" if "push" in actions else "pull from"
        self._insecure = insecure
        self._http = http
        self._origin = httpx.URL(f"https://{reference.registry}")
        self._authorizer = Authorizer(
            *(reference.registry, reference.repository, actions),
            fetch=self._fetch,
            is_private=self._is_private,
        )

    def url(self, path: str) -> httpx.URL:
        """Return the URL of a path in the repository, as in `blobs/sha256:…`."""
        return self._origin.join(f"/v2/{self._reference.repository}/{path}")

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, data: bytes = b""
    ) -> Answer:
        """Return the answer to a request that may be repeated.

        Raises:
            RegistryError: the registry cannot be reached, or refuses who asks.
            TimeLimitError: it takes too long.
        """
        sent = dict(headers or {})
        body: Body | None = None
        if data:
            sent["Content-Length"] = str(len(data))
            body = partial(iter, [data])
        return self.effort.persistently(
            lambda: self.once(method, self.url(path), headers=sent, body=body)
        )

    def once(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        silence: float = _SILENCE,
    ) -> Answer:
        """Return the answer to one attempt, for which it may be silent so many seconds.

        Raises: as `open`.
        """
        with self.open(method, url, headers=headers, body=body, silence=silence) as response:
            return Answer(response.status_code, response.headers, self._read(response))

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        silence: float = _SILENCE,
    ) -> Iterator[httpx.Response]:
        """Yield the answer to one attempt, its body unread.

        It logs in where the registry asks for it. A GET follows redirects, and takes credentials
        along to the registry's own origin only.

        Raises:
            PassingError: also in the block, the connection broke, or the answer was 429 or 5xx.
            RegistryError: the registry refuses who asks.
            CertificateError, ProxyError: it is not trusted, or a proxy refuses.
        """
        may_renew = True
        for _ in range(_REDIRECTS + 2):
            sending = self._stream(method, url, headers, body, self._timeout(silence))
            with self._translated(), sending as response:
                asks_who = response.status_code == httpx.codes.UNAUTHORIZED and self._is_own(url)
                if asks_who and may_renew:
                    may_renew = False
                    if self._renewed(response):
                        continue
                elif response.has_redirect_location and method == "GET":
                    url = self.target(response.headers, url)
                    continue
                self._require_usable(response, url)
                yield response
                return
        raise nonsense(self.repository, "it redirects without an end")

    def target(self, headers: httpx.Headers, url: httpx.URL) -> httpx.URL:
        """Return the URL in a Location header of an answer to `url`.

        Raises:
            RegistryError: there is none, or it leaves encryption.
        """
        try:
            found = url.join(headers["Location"])
        except (KeyError, httpx.InvalidURL) as error:
            raise nonsense(self.repository, "it says no usable Location") from error
        if not self._is_private(found):
            raise nonsense(self.repository, f"it leads to {found.host} without encryption")
        return found

    def refusal(self, answer: Answer) -> Exception:
        """Return the error for an answer that ends the attempt."""
        said = read_said(answer.status, answer.body, self._authorizer.mask)
        who = self._authorizer
        return refusal(self.repository, self._doing, said, who.looked_in, known=who.known)

    def greet(self) -> None:
        """Find out whether the registry speaks TLS, and log in if it wants that.

        "Determining Support", Distribution Specification 1.1. Where TLS is not required, it is
        tried first all the same, and left only for a server that does not know it.
        """
        url = self._origin.join("/v2/")
        try:
            answer = self.once("GET", url)
        except _NotTlsError:
            self._origin = self._origin.copy_with(scheme="http")
            answer = self.once("GET", self._origin.join("/v2/"))
        if answer.status != httpx.codes.OK:
            raise nonsense(self._reference.registry, f"it answers HTTP {answer.status} to /v2/")

    def _is_private(self, url: httpx.URL) -> bool:
        """Return whether the URL is encrypted, or its host may do without."""
        host = url.netloc.decode()
        may_be_plain = is_loopback(host) or {host, host_name(host)} & set(self._insecure)
        return url.scheme == "https" or (url.scheme == "http" and bool(may_be_plain))

    def _stream(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str] | None,
        body: Body | None,
        timeout: httpx.Timeout,
    ) -> contextlib.AbstractContextManager[httpx.Response]:
        # As they are: a compressed answer would have another digest.
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        if self._is_own(url) and self._authorizer.header:
            sent["Authorization"] = self._authorizer.header
        return self._http.stream(
            method,
            url,
            headers=sent,
            content=None if body is None else iter(body()),
            timeout=timeout,
            follow_redirects=False,
        )

    def _is_own(self, url: httpx.URL) -> bool:
        """Return whether a URL has the registry's own origin (RFC 6454)."""
        return (url.scheme, url.netloc) == (self._origin.scheme, self._origin.netloc)

    def _timeout(self, silence: float = _SILENCE) -> httpx.Timeout:
        left = self.effort.left()
        return httpx.Timeout(min(left, silence), connect=min(left, _CONNECT))

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for data in response.iter_raw():
            self.effort.left()
            body += data
            if len(body) > _LARGEST:
                raise nonsense(self.repository, "its answer has no end")
        return bytes(body)

    def _renewed(self, response: httpx.Response) -> bool:
        challenges = parse_challenges(response.headers.get("WWW-Authenticate", ""))
        used = response.request.headers.get("Authorization")
        return self._authorizer.renew(used, challenges)

    def _fetch(self, request: httpx.Request) -> tuple[int, bytes]:
        """Send a request for a token."""
        request.extensions = {"timeout": self._timeout().as_dict()}
        with self._translated():
            response = self._http.send(request, stream=True, follow_redirects=False)
            with contextlib.closing(response):
                self._require_usable(response, request.url, asks_for_token=True)
                return response.status_code, self._read(response)

    def _require_usable(
        self, response: httpx.Response, url: httpx.URL, *, asks_for_token: bool = False
    ) -> None:
        """Raise PassingError for what may be otherwise next time, RegistryError for a refusal."""
        status = response.status_code
        if status in _LATER or (status >= httpx.codes.INTERNAL_SERVER_ERROR and status != _FULL):
            raise PassingError(f"HTTP {status}", retry_after(response.headers))
        if asks_for_token or status < httpx.codes.BAD_REQUEST:
            return
        if not self._is_own(url):  # a signed URL of its storage, which may have expired
            raise PassingError(f"its storage at {url.host} answered HTTP {status}")
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise self.refusal(Answer(status, response.headers, self._read(response)))

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what httpx raises into PassingError, or NetworkError for who stands in the way."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise PassingError("no answer in time") from error
        except httpx.TransportError as error:
            stopped = refused(error, str(error.request.url))
            if stopped:
                raise stopped from error
            tls = tls_error(error)
            cause = self._authorizer.mask(str(error)) or type(error).__name__
            may_be_plain = self._is_private(self._origin.copy_with(scheme="http"))
            if tls and tls.reason in _NOT_TLS and may_be_plain:
                raise _NotTlsError(cause) from error
            raise PassingError(cause) from error


class _NotTlsError(PassingError):
    """A server on a host that may do without TLS does not speak it."""


@contextlib.contextmanager
def connected(
    reference: Reference, actions: str, insecure: Collection[str], effort: Effort
) -> Iterator[RegistryClient]:
    """Yield a client that has reached the registry, and is known to it where it wants that.

    Args:
        reference: names the repository.
        actions: what is wanted: `pull` or `pull,push`.
        insecure: hosts, with or without port, that may be spoken to without TLS.
        effort: limits what it does.

    Raises:
        RegistryError: it cannot be reached, or refuses who asks.
        CertificateError, ProxyError: it, or what is in between, is not trusted or refuses.
        TimeLimitError: it takes too long.
    """
    with open_client() as http:
        client = RegistryClient(reference, actions, insecure, effort, http)
        effort.persistently(client.greet)
        yield client
