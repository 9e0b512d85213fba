"""The credentials of this user, found in the same places for every download.

They are those in the URLs of the user's own indexes, those of conda tools (the file that
RATTLER_AUTH_FILE names, or ~/.rattler/credentials.json; URLs in .condarc), of netrc (the file that
NETRC names, or ~/.netrc), and of the `keyring` program where pip's or uv's settings turn it on.
"""

from __future__ import annotations

import base64
import netrc
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from elt_env.errors import PolicyError, ToolError
from elt_env.machine.condarc import read_conda_settings
from elt_env.machine.indexes import Index, Indexes, pip_settings, uv_settings
from elt_env.machine.process import run
from elt_env.runtime.input_files import cause, read_bytes, read_text
from elt_env.runtime.limits import load_json
from elt_env.runtime.masking import remember

_KEYRING_LIMIT = 20.0  # seconds; it may ask a locked store


@dataclass(frozen=True)
class Login:
    """What a server is told about who asks.

    Attributes:
        username, password: for Basic; "" with a token.
        bearer: a token that is sent as such.
        conda_token: a token that becomes a part of the path, `/t/<token>`.
    """

    username: str = ""
    password: str = ""
    bearer: str = ""
    conda_token: str = ""

    def __post_init__(self) -> None:
        remember(self.password, self.bearer, self.conda_token)

    def __repr__(self) -> str:
        return "Login()"

    @property
    def header(self) -> str | None:
        """The value of the Authorization header (RFC 7617, 6750)."""
        if self.bearer:
            return f"Bearer {self.bearer}"
        if self.username or self.password:
            pair = f"{self.username}:{self.password}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return None


class Logins:
    """Finds the login for a URL; the files that have them are read once.

    Args:
        indexes: whose credentials go to their own origins (RFC 6454).
        environ: the variables; os.environ by default.
    """

    def __init__(
        self, indexes: Indexes | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._indexes = indexes or Indexes()

    def find(self, url: str) -> Login | None:
        """Return the login for a URL, or None.

        Raises:
            PolicyError: the file of conda tools cannot be read.
        """
        return self._of_index(url) or self._of_conda(url) or self._of_netrc(url)

    def _of_index(self, url: str) -> Login | None:
        own = sorted(self._indexes.all, key=lambda each: not url.startswith(each.url))
        for each in own:
            if (each.username or each.password) and _origin(each.url) == _origin(url):
                full = with_keyring(each, self._environ)
                return Login(full.username, full.password)
        return None

    def _of_conda(self, url: str) -> Login | None:
        for entry in _matching(self._auth_file, url):
            if not isinstance(entry, dict):
                continue
            basic = entry.get("BasicHTTP")
            if isinstance(basic, dict):
                return Login(str(basic.get("username", "")), str(basic.get("password", "")))
            if entry.get("BearerToken"):
                return Login(bearer=str(entry["BearerToken"]))
            if entry.get("CondaToken"):
                return Login(conda_token=str(entry["CondaToken"]))
        return None

    def _of_netrc(self, url: str) -> Login | None:
        host = urlsplit(url).hostname
        found = self._netrc.authenticators(host) if host and self._netrc else None
        return Login(found[0], found[2] or "") if found else None

    @cached_property
    def _auth_file(self) -> Mapping[str, object]:
        return read_auth_file(self._environ)

    @cached_property
    def _netrc(self) -> netrc.netrc | None:
        named = self._environ.get("NETRC")
        try:
            read_bytes(Path(named or Path("~/.netrc").expanduser()))  # not for long, whatever it is
            return netrc.netrc(named)
        except (OSError, UnicodeDecodeError, RuntimeError, netrc.NetrcParseError):
            return None


def completed(indexes: Indexes) -> Indexes:
    """Return the indexes with the logins that pip and uv would not find by themselves.

    Raises: as `Logins.find`.
    """

    def complete(index: Index) -> Index:
        if index.username or index.password:
            return with_keyring(index, os.environ)
        login = Logins().find(index.url)
        if login is None or not login.header or login.bearer:
            return index
        return replace(index, username=login.username, password=login.password)

    default = complete(indexes.default) if indexes.default else None
    return replace(indexes, default=default, extra=tuple(map(complete, indexes.extra)))


def with_keyring(index: Index, environ: Mapping[str, str]) -> Index:
    """Return an index that has a user name alone with the password that `keyring` keeps for it.

    It is asked as pip and uv ask it, by URL and then by host, and only where UV_KEYRING_PROVIDER,
    PIP_KEYRING_PROVIDER, `keyring-provider` in uv.toml or in pip.conf turns it on.
    """
    program = shutil.which("keyring", path=environ.get("PATH"))
    if not index.username or index.password or not program or not _keyring_is_on(environ):
        return index
    for service in (index.url, urlsplit(index.url).netloc):
        password = _ask_keyring(program, service, index.username)
        if password:
            return replace(index, password=password)
    return index


def _keyring_is_on(environ: Mapping[str, str]) -> bool:
    values = [environ.get("UV_KEYRING_PROVIDER"), environ.get("PIP_KEYRING_PROVIDER")]
    for settings in (uv_settings(environ), pip_settings(environ)):
        values += [value for key, value, _ in settings if key == "keyring-provider"]
    return next((each for each in values if each), "disabled") != "disabled"


@lru_cache
def _ask_keyring(program: str, service: str, username: str) -> str:
    try:
        done = run([program, "get", service, username], limit=_KEYRING_LIMIT, env=dict(os.environ))
    except ToolError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def read_auth_file(environ: Mapping[str, str]) -> Mapping[str, object]:
    """Return the credentials of conda tools by host: of their file, and of conda's settings.

    Raises:
        PolicyError: the file is not JSON, or conda's settings have a value that cannot be used.
    """
    of_settings = read_conda_settings(environ).logins
    home = Path(environ.get("HOME") or Path.home())
    named = environ.get("RATTLER_AUTH_FILE")
    path = Path(named) if named else home / ".rattler" / "credentials.json"
    try:
        content = load_json(read_text(path))
    except (FileNotFoundError, NotADirectoryError):
        return of_settings
    except OSError as error:
        raise auth_file_error(path, cause(error)) from error
    except ValueError as error:
        raise auth_file_error(path, str(error)) from None
    return of_settings | content if isinstance(content, dict) else of_settings


def auth_file_error(path: Path | str, cause: str) -> PolicyError:
    """Return the error for a file of credentials that conda tools cannot read."""
    return PolicyError(
        f"The file of credentials {path} (RATTLER_AUTH_FILE) cannot be read: {cause}.",
        'Correct it, as in {"HOST": {"BasicHTTP": {"username": "USER", "password": "PASSWORD"}}}',
    )


def _matching(entries: Mapping[str, object], url: str) -> list[object]:
    """Return the entries for a URL: those of its host, then of patterns such as `*.host`."""
    address = urlsplit(url)
    host = address.hostname or ""
    names = [address.netloc.rpartition("@")[2], host]
    exact = [entries[name] for name in names if name in entries]
    patterns = sorted((each for each in entries if "*" in each), key=len, reverse=True)
    return exact + [entries[each] for each in patterns if fnmatchcase(host, each)]


def _origin(url: str) -> tuple[str, str]:
    address = urlsplit(url)
    return address.scheme, address.netloc.lower()
