"""The package indexes: the policy's, else the spec's, else those of the user's pip or uv settings.

Only the main index is taken from the user's settings. Further indexes come from the policy
and the spec alone, since an index that one machine happens to know makes locks that no other can
use.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from elt_env.errors import PolicyError, SpecError
from elt_env.project.policy import Policy
from elt_env.runtime.credentials import carries_credentials, without_credentials
from elt_env.runtime.input_files import read_text
from elt_env.runtime.masking import remember
from elt_env.spec.pip_options import PipOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_SCHEMES = ("http", "https", "file")
_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
WHEELHOUSE_RECORD = "wheelhouse.json"
"""The file by which a directory is known as a wheelhouse."""


@dataclass(frozen=True)
class Index:
    """A package index.

    Attributes:
        url: its simple API (PEP 503), without credentials and without a slash at the end.
        username, password: the credentials that its URL carried, or "".
    """

    url: str
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Index({self.url!r})"

    @property
    def url_with_credentials(self) -> str:
        """The URL as a tool needs it; it must not be shown or stored."""
        if not self.username and not self.password:
            return self.url
        address = urlsplit(self.url)
        user = quote(self.username, safe="")
        login = f"{user}:{quote(self.password, safe='')}" if self.password else user
        return urlunsplit(address._replace(netloc=f"{login}@{address.netloc}"))


@dataclass(frozen=True)
class Indexes:
    """Where pip packages come from.

    Attributes:
        default: the main index; None means the tool's own default.
        extra: further indexes; they are asked first.
        links: URLs and absolute paths of pages and directories of archives (`--find-links`).
        no_index: only `links` is asked.
        notes: what the spec names and the policy names otherwise.
    """

    default: Index | None = None
    extra: tuple[Index, ...] = ()
    links: tuple[str, ...] = ()
    no_index: bool = False
    notes: tuple[str, ...] = ()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every password, for masking output."""
        return tuple(each.password for each in self.all if each.password)

    @property
    def all(self) -> tuple[Index, ...]:
        """The indexes in the order in which they are asked."""
        return (*self.extra, *((self.default,) if self.default else ()))

    def locked_to(self, urls: tuple[str, ...]) -> Indexes:
        """Return the indexes that a lock names, with this user's credentials for them."""
        known = {each.url: each for each in self.all}
        found = [known.get(url, Index(url)) for url in urls]
        if not found:
            return self
        default = next((each for each in found if each == self.default), found[-1])
        return Indexes(default, tuple(each for each in found if each is not default))

    def is_link(self, url: str) -> bool:
        """Tell whether a URL is that of a page or directory of archives."""
        return any(url.rstrip("/") == _link_url(each).rstrip("/") for each in self.links)


def parse_index(text: str, named_by: str = "an index") -> Index:
    """Return the index that a URL with or without credentials names.

    Args:
        text: the URL.
        named_by: the setting it stands in, for the message.

    Raises:
        PolicyError: it is no http, https or file URL.
    """
    try:
        address = urlsplit(text.strip())
        usable = bool(address.hostname) if address.scheme != "file" else bool(address.path)
        usable = usable and (address.port or 0) >= 0
    except ValueError:  # brackets that are no IPv6 address, or a password with a slash
        usable = False
    if not usable or address.scheme not in _SCHEMES:
        # What stands before the @ may be a password.
        shown = without_credentials(text.strip().rpartition("@")[2])
        raise PolicyError(
            f"{named_by}: '{shown}' is not the URL of a package index.",
            "Write its simple API, as in https://packages.example/simple",
        )
    host = address.netloc.rpartition("@")[2]
    bare = urlunsplit(address._replace(netloc=host, fragment="", query=""))
    if carries_credentials(bare):
        raise PolicyError(
            f"{named_by}: the path of the URL at {address.hostname} carries a token, which would "
            "stand in every lock.",
            "Name the index without it, and give the token as a login, as the index's own pages "
            "say: into ~/.netrc, or before the host, as in https://USER:TOKEN@HOST/simple",
        )
    username, password = (unquote(each or "") for each in (address.username, address.password))
    remember(password)
    return Index(bare.rstrip("/"), username, password)


def _link_url(link: str) -> str:
    return link if "://" in link else Path(link).as_uri()


def find_indexes(
    policy: Policy,
    environ: Mapping[str, str] | None = None,
    *,
    options: PipOptions | None = None,
    root: Path = Path(),
) -> Indexes:
    """Return the indexes of this user on this machine.

    Where the policy and the spec both name the main index, the policy's counts; further indexes
    of both are asked, the policy's first.

    Args:
        policy: the policy.
        environ: the variables; os.environ by default.
        options: what the spec says of indexes.
        root: the project's directory, which paths in `options` are relative to.

    Raises:
        PolicyError: a setting is not a URL.
        SpecError: the spec's URL of an index names a variable that is not set.
    """
    variables = os.environ if environ is None else environ
    asked = options or PipOptions()
    extra = [parse_index(each, "extra-indexes") for each in policy.extra_indexes]
    extra += [_spec_index(each, variables) for each in asked.extra_index_urls]
    house = wheelhouse_of(policy, root)
    is_there = house.is_dir() if policy.wheelhouse else (house / WHEELHOUSE_RECORD).is_file()
    links = (*([str(house)] if is_there else []), *asked.find_links)
    return Indexes(
        default=_main_index(policy, asked, variables),
        extra=tuple({each.url: each for each in reversed(extra)}.values())[::-1],
        links=tuple(each if "://" in each else str(root / each) for each in links),
        no_index=asked.no_index and not (policy.index or policy.extra_indexes),
        notes=_overruled(policy, asked),
    )


def wheelhouse_of(policy: Policy, root: Path) -> Path:
    """Return the directory of a project's own wheels, which counts once it is there."""
    return root / (policy.wheelhouse or "wheelhouse")


def _main_index(policy: Policy, options: PipOptions, variables: Mapping[str, str]) -> Index | None:
    if policy.index:
        return parse_index(policy.index, "index")
    if options.no_index:
        return None
    if options.index_url:
        return _spec_index(options.index_url, variables)
    found = named_index(variables)
    return parse_index(*found) if found else None


def _overruled(policy: Policy, options: PipOptions) -> tuple[str, ...]:
    """Return what of the spec does not count because the policy says otherwise, a line each."""
    notes = []
    if policy.index and options.index_url and _bare(options.index_url) != _bare(policy.index):
        notes.append("the spec's --index-url is not used: the policy has 'index'")
    if (policy.index or policy.extra_indexes) and options.no_index:
        notes.append("the spec's --no-index is not used: the policy names package indexes")
    return tuple(notes)


def _bare(url: str) -> str:
    return url.rpartition("@")[2].rpartition("://")[2].rstrip("/")


def _spec_index(url: str, variables: Mapping[str, str]) -> Index:
    """Return the index of a URL in which `${NAME}` stands for the value of a variable, as in pip.

    Raises:
        SpecError: a variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        if found[1] in variables:
            return quote(variables[found[1]], safe="")
        raise SpecError(
            f"The index URL of the spec, {_bare(url)}, names the variable {found[1]}, which is "
            "not set.",
            f"Set it: export {found[1]}=…",
        )

    return parse_index(re.sub(r"\$\{([A-Z0-9_]+)\}", value, url), "the spec's index URL")


def named_index(environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return the URL of the main index in the user's settings and where it stands, if it does."""
    return next(_settings(os.environ if environ is None else environ), None)


def _settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the URLs that the user's settings name, each with the place it was found in."""
    yield from ((environ[name], name) for name in _VARIABLES if environ.get(name))
    for path in _uv_files(environ):
        yield from ((url, str(path)) for url in _uv_index(_read_toml(path)))
    for key, value, source in pip_settings(environ):
        if key == "index-url":
            yield value, source


def pip_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and file of what pip's configuration files say, what wins first."""
    for path in _pip_files(environ.get("PIP_CONFIG_FILE"), *_homes(environ)):
        parser = configparser.RawConfigParser()
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(read_text(path))
        for section in ("install", "global"):
            if parser.has_section(section):
                for key, value in parser.items(section):
                    yield key.replace("_", "-"), value, str(path)


def uv_settings(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and file of the texts in uv's configuration files, what wins first."""
    for path in _uv_files(environ):
        content = _read_toml(path).items()
        yield from ((key, value, str(path)) for key, value in content if isinstance(value, str))


def _homes(environ: Mapping[str, str]) -> tuple[Path, Path]:
    home = Path(environ.get("HOME", "/"))
    return home, Path(environ.get("XDG_CONFIG_HOME") or home / ".config")


def _uv_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    return _homes(environ)[1] / "uv" / "uv.toml", Path("/etc/uv/uv.toml")


def _pip_files(named: str | None, home: Path, config: Path) -> tuple[Path, ...]:
    """Return pip's configuration files, the one that wins first.

    A file that PIP_CONFIG_FILE names stands in for the user's, and `/dev/null` for all
    (https://pip.pypa.io/en/stable/topics/configuration/).
    """
    if named == os.devnull:
        return ()
    user = (Path(named),) if named else (config / "pip" / "pip.conf", home / ".pip" / "pip.conf")
    return (*user, Path("/etc/pip.conf"))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError):
        return {}


def _uv_index(content: Mapping[str, Any]) -> Iterator[str]:
    tables = content.get("index")
    for each in tables if isinstance(tables, list) else ():
        if isinstance(each, dict) and each.get("default") and "url" in each:
            yield str(each["url"])
    if "index-url" in content:
        yield str(content["index-url"])
