"""Names of images in registries.

The grammar is that of the OCI Distribution Specification 1.1, "Pulling manifests", and of
https://pkg.go.dev/github.com/distribution/reference for the host.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from elt_env.errors import InputError
from elt_env.runtime.credentials import without_credentials

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]+))?")
_LONGEST = 255
_PORTS = 65536
_FORM = (
    "Write it as in registry.example/team/elt, registry.example:5000/team/elt:3.11 or …@sha256:…"
)


@dataclass(frozen=True)
class Reference:
    """A repository of a registry, and perhaps an image in it.

    Attributes:
        registry: `host` or `host:port`.
        repository: as in `team/elt`.
        digest: `sha256:` and 64 hex digits; it wins over the tag.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def version(self) -> str:
        """What names the image in its repository: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def at(self, version: str) -> Reference:
        """Return the reference to another tag or digest of the same repository."""
        named = replace(self, tag=None, digest=None)
        if _DIGEST.fullmatch(version):
            return replace(named, digest=version)
        return replace(named, tag=version)


def parse_reference(text: str) -> Reference:
    """Return the reference in `host[:port]/repository[:tag][@sha256:…]`.

    Raises:
        InputError: it is none, or names no registry: there is no default one.
    """
    rest, at, digest = text.partition("@")
    if "://" in text:
        raise _error(text, "it is a URL")
    if at and not _DIGEST.fullmatch(digest):
        raise _error(text, "what follows the @ is not sha256: and 64 hex digits")
    host, slash, path = rest.partition("/")
    if not slash or not _is_host(host):
        raise _error(text, "it does not begin with the host of a registry")
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _error(text, f"'{tag}' is not a tag")
    if not _REPOSITORY.fullmatch(path):
        raise _error(
            text, f"'{path}' is not a repository, which is lower case letters, digits, . _ -"
        )
    if len(host) + 1 + len(path) > _LONGEST:
        raise _error(text, f"registry and repository have more than {_LONGEST} characters")
    return Reference(host, path, tag or None, digest or None)


def _error(text: str, reason: str) -> InputError:
    shown = without_credentials(text)
    return InputError(f"'{shown}' is not the reference of an image: {reason}.", _FORM)


def _is_host(text: str) -> bool:
    """Return whether it is the host of a registry: a single word without a port is a path."""
    found = _HOST.fullmatch(text)
    if found is None or int(found["port"] or 1) not in range(1, _PORTS):
        return False
    name = found["name"]
    if name.startswith("["):
        return _address(name) is not None
    return bool(found["port"]) or "." in name or name == "localhost"


def host_name(registry: str) -> str:
    """Return a registry's host without its port."""
    found = _HOST.fullmatch(registry)
    return found["name"] if found else registry


def is_loopback(registry: str) -> bool:
    """Return whether a registry is on this machine (RFC 6761, 6.3 for the name)."""
    name = host_name(registry).lower()
    address = _address(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None
