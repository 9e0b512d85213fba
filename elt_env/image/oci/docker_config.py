"""The credentials of image registries that a person has stored with `docker login` or its like.

Docker's format: https://docs.docker.com/reference/cli/docker/login/, "Credential stores" and
"Credential helpers". The others read and write the same one: containers-auth.json(5).
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elt_env.errors import TimeLimitError, ToolError
from elt_env.machine.process import run
from elt_env.runtime.input_files import read_bytes
from elt_env.runtime.limits import load_json
from elt_env.runtime.masking import remember

_HELPER_LIMIT = 30.0  # seconds; one may ask a cloud for a short-lived password
_TOKEN_USER = "<token>"  # noqa: S105  # a helper's word for: the secret is an identity token
_HELPER = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Login:
    """What a person is known by to a registry: a name and a password, or an identity token.

    Attributes:
        source: where it was found, for messages.
    """

    source: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        remember(self.password, self.identity_token)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        text = f"{self.username}:{self.password}"
        return "Basic " + base64.b64encode(text.encode()).decode()


@dataclass(frozen=True)
class CredentialSearch:
    """The outcome of a search for credentials.

    Attributes:
        login: None when there is none.
        looked_in: every place that was looked at, and why it gave nothing.
    """

    login: Login | None
    looked_in: tuple[str, ...]


def find_login(registry: str, repository: str) -> CredentialSearch:
    """Return the stored login for a repository.

    Looked in are $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or ~/.docker/config.json, and
    podman's own file; in each of them the credential helper of the registry, `auths`, and the
    credential store.
    """
    looked_in: list[str] = []
    for path in _files():
        for place, login in _search(path, registry, repository):
            if login is not None:
                return CredentialSearch(login, (*looked_in, place))
            looked_in.append(place)
    return CredentialSearch(None, tuple(looked_in))


def _files() -> Iterator[Path]:
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    directory = os.environ.get("DOCKER_CONFIG")
    yield Path(directory or Path("~/.docker").expanduser()) / "config.json"
    # What `podman login` and `skopeo login` write: containers-auth.json(5).
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    containers = Path(runtime, "containers") if runtime else Path(f"/run/containers/{os.getuid()}")
    yield containers / "auth.json"


def _search(path: Path, registry: str, repository: str) -> Iterator[tuple[str, Login | None]]:
    """Yield where in a file was looked, and what was found there."""
    try:
        content = load_json(read_bytes(path))
    except FileNotFoundError:
        yield f"{path} (not there)", None
        return
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not JSON"
        yield f"{path} ({cause})", None
        return
    if not isinstance(content, dict):
        yield f"{path} (not a JSON object)", None
        return
    helper = _table(content, "credHelpers").get(registry)
    if helper:
        yield _ask_helper(str(helper), registry, path)
    entry = _entry(_table(content, "auths"), registry, repository)
    login = _login(entry, str(path))
    yield (f"{path}" if login else f"{path} (nothing for {registry})"), login
    if content.get("credsStore") and not helper:
        yield _ask_helper(str(content["credsStore"]), registry, path)


def _table(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _entry(auths: Mapping[str, Any], registry: str, repository: str) -> object:
    """Return the entry of the repository, of what it lies in, or of the registry."""
    known = {_without_url(key): value for key, value in auths.items()}
    place = f"{registry}/{repository}"
    while place not in known and "/" in place:
        place = place.rpartition("/")[0]
    return known.get(place)


def _without_url(key: str) -> str:
    """Return what a key of `auths` names: old ones are URLs, as in `https://host/v1/`."""
    bare = re.sub(r"^https?://", "", key).rstrip("/")
    return re.sub(r"/v[12]$", "", bare)


def _login(entry: object, source: str) -> Login | None:
    if not isinstance(entry, dict):
        return None
    if isinstance(token := entry.get("identitytoken"), str) and token:
        return Login(source, identity_token=token)
    username, password = entry.get("username"), entry.get("password")
    if isinstance(auth := entry.get("auth"), str) and auth:
        try:
            text = base64.b64decode(auth, validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        username, _, password = text.rstrip("\0").partition(":")
    if not username or not isinstance(password, str):
        return None
    return Login(source, str(username), password)


def _ask_helper(name: str, registry: str, path: Path) -> tuple[str, Login | None]:
    """Return what a credential helper knows of a registry.

    What it prints is never shown, not even when it fails: it may hold the secret.
    """
    program = f"docker-credential-{name}"
    place = f"{program} (named in {path})"
    if not _HELPER.fullmatch(name):
        return f"{path} (names a credential helper that is none)", None
    try:
        # A person's own program, which finds its store or its cloud through any variable.
        done = run([program, "get"], limit=_HELPER_LIMIT, env=dict(os.environ), input=registry)
    except TimeLimitError:
        return f"{place}, which did not end in {_HELPER_LIMIT:.0f} s", None
    except ToolError:
        return f"{place}, which cannot be started", None
    if done.returncode:
        return f"{place}, which gave none", None
    return _told(place, done.stdout)


def _told(place: str, output: str) -> tuple[str, Login | None]:
    try:
        answer = load_json(output)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        return f"{place}, which answered with nonsense", None
    if username == _TOKEN_USER:
        return place, Login(place, identity_token=secret)
    return place, Login(place, username, secret)
