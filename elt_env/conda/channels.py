"""Resolve the names of channels to URLs, by the policy and by conda's settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from elt_env.errors import SpecError
from elt_env.machine.condarc import CondaSettings
from elt_env.project.policy import ChannelPriority, Policy
from elt_env.spec.document import Spec

DEFAULT_CHANNELS = ("conda-forge",)
DEFAULT_PRIORITY: ChannelPriority = "strict"
CONDA_DEFAULTS = ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
"""What `defaults` is where no setting says otherwise: conda's documentation of default_channels."""

_SCHEME = re.compile(r"[a-z][a-z0-9]{0,11}://")
_PATH = re.compile(r"\.\.?(/|$)|~|/")
_TOKEN = re.compile(r"/t/[a-zA-Z0-9-]+(?=/|$)")
_SUBDIR = re.compile(
    r"/(?P<subdir>noarch|(?:linux|osx|win|freebsd|emscripten|wasi|zos)-[a-z0-9]+)(?=/|$)"
)


def rattler_alias() -> str:
    """Return the base URL of channel names where no setting names one."""
    import rattler  # slow to load

    return rattler.Channel("name").base_url.removesuffix("/name/")


@dataclass(frozen=True)
class ChannelNames:
    """What channel names stand for.

    Attributes:
        alias: base URL of names.
        custom: base URL of single channels by name.
        multi: the channels that one name stands for, by that name.
        root: the directory that paths are relative to.

    The rules are those of conda (https://docs.conda.io/projects/conda/en/stable/user-guide/
    configuration/settings.html); URLs are without credentials.
    """

    alias: str
    custom: Mapping[str, str] = field(default_factory=dict)
    multi: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"defaults": CONDA_DEFAULTS}
    )
    root: Path = Path()

    def urls(self, channel: str) -> tuple[str, ...]:
        """Return the URLs that a channel stands for, those that come first in it first.

        That is none for `local` where conda-build made nothing; conda leaves it out as well.

        Raises:
            SpecError: it cannot be a channel.
        """
        name, _ = split_subdir(channel.strip())
        if _SCHEME.match(name):
            return (without_login(name),)
        if "://" in channel:
            raise SpecError(
                f"'{channel}' is not a channel.", "Write a name, a https:// URL or a file:// URL."
            )
        if _PATH.match(name):
            return ((self.root / Path(name).expanduser()).absolute().as_uri(),)
        name = name.strip("/")
        if name in self.multi:
            return tuple(dict.fromkeys(self._member(each) for each in self.multi[name]))
        return (self._named(name),)

    def _member(self, channel: str) -> str:
        """Return the URL of a channel in a list; one that is not a URL is relative to the alias."""
        if _SCHEME.match(channel):
            return without_login(channel)
        return f"{self.alias}/{channel.strip('/')}"

    def _named(self, name: str) -> str:
        """Return the URL of a name: that of the longest part of it that has one of its own."""
        own = self._own()
        head = name
        while head:
            if head in own:
                return f"{own[head]}/{name}"
            head = head.rpartition("/")[0]
        return f"{self.alias}/{name}"

    def _own(self) -> dict[str, str]:
        """Return the base URLs of names that have one, also of the parts of lists: `pkgs/main`."""
        members = [each for channels in self.multi.values() for each in channels]
        bases = [self._split(self._member(each)) for each in members]
        custom = {
            name.strip("/"): without_login(url) if _SCHEME.match(url) else self.alias
            for name, url in self.custom.items()
        }
        return {name: base for base, name in bases} | custom

    def _split(self, url: str) -> tuple[str, str]:
        bare = without_login(url)
        if bare.startswith(f"{self.alias}/"):
            return self.alias, bare.removeprefix(f"{self.alias}/")
        address = urlsplit(bare)
        return f"{address.scheme}://{address.netloc}", address.path.strip("/")


@dataclass(frozen=True)
class Channels:
    """The channels of specs, as the policy and conda's settings have them.

    Attributes:
        names: what names stand for.
        priority: how the order of channels counts.
        default: the channels of a spec that lists none.
        default_source: where these come from.
    """

    names: ChannelNames
    priority: ChannelPriority = DEFAULT_PRIORITY
    default: tuple[str, ...] = DEFAULT_CHANNELS
    default_source: str = "the default of the policy"

    def of(self, spec: Spec) -> tuple[str, ...]:
        """Return the channels of a spec as they are written: its own, or else the default."""
        return () if spec.venv else spec.channels or self.default


def find_channels(policy: Policy, settings: CondaSettings, root: Path) -> Channels:
    """Return what the policy says of channels, and where it is silent, what conda's settings say.

    Args:
        policy: the policy of the project.
        settings: conda's settings of this user.
        root: the project's directory.
    """
    alias = policy.channel_alias or settings.channel_alias
    multi = dict(settings.custom_multichannels)
    multi["defaults"] = settings.default_channels or CONDA_DEFAULTS
    names = ChannelNames(
        alias=without_login(alias) if alias else rattler_alias(),
        custom=settings.custom_channels,
        multi=multi | {"local": settings.local},
        root=root,
    )
    default, source = _default(policy, settings)
    priority = policy.channel_priority or settings.channel_priority or DEFAULT_PRIORITY
    return Channels(names, priority, default, source)


def _default(policy: Policy, settings: CondaSettings) -> tuple[tuple[str, ...], str]:
    if policy.channels:
        return policy.channels, "'channels' of the policy"
    bare = (without_login(each) if _SCHEME.match(each) else each for each in settings.channels)
    listed = tuple(each for each in bare if each != "nodefaults")
    if listed:
        return listed, ", ".join(settings.sources.get("channels", ()))
    return DEFAULT_CHANNELS, "the default of the policy"


def split_subdir(channel: str) -> tuple[str, str]:
    """Return a channel without the platform in it, and that platform or ""."""
    found = _SUBDIR.search(channel)
    if found is None:
        return channel.rstrip("/"), ""
    return (channel[: found.start()] + channel[found.end() :]).rstrip("/"), found["subdir"]


def without_login(url: str) -> str:
    """Return a channel's URL without user, password, token and query, and no slash at its end."""
    address = urlsplit(url)
    host = address.netloc.rpartition("@")[2]
    path = _TOKEN.sub("", address.path, count=1)
    return urlunsplit((address.scheme, host, path, "", "")).rstrip("/")


def channel_of(url: str) -> str:
    """Return the URL of the channel that a package's archive lies in."""
    return url.rsplit("/", maxsplit=2)[0]


def is_from(url: str, channels: Iterable[str]) -> bool:
    """Tell whether a package's archive lies in one of the channels, given by URL."""
    return channel_of(url) in set(channels)


def may_be_from(url: str, channels: Iterable[str]) -> bool:
    """Tell whether a package's archive lies in one of the channels, or in one of the same name.

    On a machine whose settings name a mirror, a channel has another URL than where a lock was made.
    """
    place = channel_of(url)
    names = {each.rpartition("/")[2] for each in channels}
    return place in set(channels) or place.rpartition("/")[2] in names
