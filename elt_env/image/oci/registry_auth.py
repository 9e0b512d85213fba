"""Authenticate at a registry: Basic, or a token of the server that it names.

The flow is that of https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.request import parse_http_list

import httpx

from elt_env.image.oci.docker_config import CredentialSearch, Login, find_login
from elt_env.image.oci.registry_errors import nonsense
from elt_env.runtime.masking import masking

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # RFC 9110, 5.6.2
_ITEM = re.compile(
    rf"(?:(?P<scheme>{_TOKEN})(?:\s+|$))?(?:(?P<name>{_TOKEN})\s*=\s*(?P<value>.*))?", re.DOTALL
)
_CLIENT = "elt-env"


@dataclass(frozen=True)
class Challenge:
    """A way to authenticate that a server offers; scheme and parameters' names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Return the challenges of a WWW-Authenticate header (RFC 9110, 11.6.1), without nonsense."""
    found: list[tuple[str, dict[str, str]]] = []
    for item in filter(None, map(_ITEM.fullmatch, parse_http_list(header))):
        if item["scheme"]:
            found.append((item["scheme"].lower(), {}))
        if item["name"] and found:
            value = item["value"]
            bare = value[1:-1] if value.startswith('"') else value
            found[-1][1].setdefault(item["name"].lower(), bare)
    return tuple(Challenge(*each) for each in found)


Fetch = Callable[[httpx.Request], tuple[int, bytes]]
"""Sends a request to a token server; returns status and body. Raises PassingError."""


class Authorizer:
    """Who asks one repository, once it wants to know.

    Args:
        scope: what is wanted, as in `repository:team/elt:pull,push`.
        fetch: sends requests for tokens.
        is_private: whether a URL may be sent secrets: it is encrypted, or stays on this machine.
    """

    def __init__(
        self,
        registry: str,
        repository: str,
        actions: str,
        fetch: Fetch,
        is_private: Callable[[httpx.URL], bool],
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._scope = f"repository:{repository}:{actions}"
        self._fetch = fetch
        self._is_private = is_private
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._found: CredentialSearch | None = None
        self.header: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._registry!r}, {self._scope!r})"

    @property
    def looked_in(self) -> tuple[str, ...]:
        """Where credentials were looked for; nowhere when nobody asked for any."""
        return self._found.looked_in if self._found else ()

    @property
    def known(self) -> bool:
        """Whether credentials were found."""
        return self._found is not None and self._found.login is not None

    def mask(self, text: str) -> str:
        """Return `text` without the secrets that are known here."""
        return masking(self._secrets)(text)

    def renew(self, used: str | None, challenges: tuple[Challenge, ...]) -> bool:
        """Get another `header` than the one that was `used` and refused.

        Returns:
            Whether there is one; if not, the refusal stands.

        Raises:
            PassingError: the token server does not answer.
            RegistryError: it answers with nonsense, or would have to be sent secrets in the clear.
        """
        with self._lock:
            if self.header != used:  # another thread was here
                return True
            schemes = {each.scheme: each for each in challenges}
            if self._found is None:
                self._found = find_login(self._registry, self._repository)
                self._hide(self._found.login)
            header = None
            if "bearer" in schemes:
                header = self._bearer(schemes["bearer"].parameters, self._found.login)
            elif "basic" in schemes and self._found.login and self._found.login.username:
                header = self._found.login.basic
            if header is None or header == used:
                return False
            self._secrets |= {header, header.partition(" ")[2]}
            self.header = header
            return True

    def _hide(self, login: Login | None) -> None:
        if login is not None:
            encoded = login.basic.partition(" ")[2]
            self._secrets |= {login.password, login.identity_token, encoded} - {""}

    def _bearer(self, parameters: Mapping[str, str], login: Login | None) -> str | None:
        """Return a new token as a header; None when the token server refuses."""
        realm = self._realm(parameters.get("realm", ""))
        status, body = self._fetch(self._request(realm, parameters.get("service"), login))
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.BAD_REQUEST):
            return None
        try:
            content = httpx.Response(status, content=body).json()
            token = content.get("token") or content.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if status != httpx.codes.OK or not isinstance(token, str) or not token.isprintable():
            raise nonsense(
                f"{realm.host}, which {self._registry} names for tokens", f"HTTP {status}"
            )
        return f"Bearer {token}"

    def _realm(self, text: str) -> httpx.URL:
        try:
            realm = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise nonsense(self._registry, "it names no server for tokens") from error
        if not realm.host or not self._is_private(realm):
            raise nonsense(self._registry, "it wants credentials to be sent without encryption")
        return realm

    def _request(self, realm: httpx.URL, service: str | None, login: Login | None) -> httpx.Request:
        asked = {"scope": self._scope} | ({"service": service} if service else {})
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token}
            return httpx.Request("POST", realm, data={**form, **asked, "client_id": _CLIENT})
        headers = {"Authorization": login.basic} if login else {}
        return httpx.Request("GET", realm.copy_merge_params(asked), headers=headers)
