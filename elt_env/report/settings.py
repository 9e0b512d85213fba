"""Every setting that counts, its value, and where it comes from; credentials are masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from elt_env.conda.channels import Channels, find_channels
from elt_env.machine.condarc import CondaSettings, read_conda_settings
from elt_env.machine.indexes import named_index
from elt_env.machine.network_settings import NetworkSettings, find_network_settings
from elt_env.project.cache_home import find_cache_home
from elt_env.project.project import Project
from elt_env.project.settings import policy_sources
from elt_env.runtime.credentials import without_credentials
from elt_env.spec.document import Spec
from elt_env.spec.pip_options import PipOptions

_DEFAULT = "default"
_ELSEWHERE = (
    "cache_home",
    "channels",
    "channel_alias",
    "channel_priority",
    "index",
    "extra_indexes",
)
_UNITS = (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60))

Value = str | int | bool | list[str] | dict[str, str] | None


@dataclass(frozen=True)
class Setting:
    """A setting that counts.

    Attributes:
        name: as it is written where it can be set.
        source: a file, a variable, or `default`.
    """

    name: str
    value: Value
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"name": self.name, "value": self.value, "source": self.source}


def settings_of(project: Project, environment: str | None = None) -> tuple[Setting, ...]:
    """Return every setting of a project, those of places and of the network first.

    Args:
        project: the project.
        environment: whose spec counts as well; without it that is of a spec that says nothing.

    Raises:
        PolicyError: a setting has no usable value, or there is no such environment.
        SpecError: the spec cannot be used.
    """
    conda = read_conda_settings()
    spec = project.spec(environment) if environment else None
    own = policy_sources(project)
    channels = find_channels(project.policy, conda, project.root)
    found = [
        *_channels(project, channels, spec),
        *_of_conda(channels, conda, own),
        *_indexes(project, spec, own),
        *_network(find_network_settings()),
        _caches(project, own),
        *_policy(project, own),
        *_environments(project, own, environment),
        *(Setting("ignored", each, "conda's settings") for each in conda.ignored),
    ]
    return tuple(Setting(each.name, _masked(each.value), each.source) for each in found)


def to_text(settings: Iterable[Setting]) -> str:
    """Return settings for a person, a line each."""
    listed = list(settings)
    width = max((len(each.name) for each in listed), default=0)
    return "\n".join(
        f"{each.name:<{width}}  {_shown(each.value)}  ({each.source})" for each in listed
    )


def _channels(project: Project, channels: Channels, spec: Spec | None) -> Iterator[Setting]:
    if spec is not None and spec.channels:
        yield Setting("channels", list(spec.channels), str(project.root / spec.source))
    else:
        yield Setting("channels", list(channels.default), channels.default_source)


def _of_conda(
    channels: Channels, conda: CondaSettings, own: Mapping[str, str]
) -> Iterator[Setting]:
    """Yield what conda's settings have a say in: the policy, then they, then the default."""

    def source(name: str) -> str:
        return own.get(name) or ", ".join(conda.sources.get(name, ())) or _DEFAULT

    names = channels.names
    yield Setting("channel-alias", names.alias, source("channel_alias"))
    yield Setting("channel-priority", channels.priority, source("channel_priority"))
    yield Setting("default_channels", list(names.multi["defaults"]), source("default_channels"))
    yield Setting("custom_channels", dict(names.custom), source("custom_channels"))
    for name, listed in sorted(conda.custom_multichannels.items()):
        yield Setting(f"custom_multichannels.{name}", list(listed), source("custom_multichannels"))


def _indexes(project: Project, spec: Spec | None, own: Mapping[str, str]) -> Iterator[Setting]:
    policy = project.policy
    in_spec = str(project.root / spec.source) if spec else ""
    asked = spec.pip_options if spec else PipOptions()
    named = named_index()
    if policy.index:
        yield Setting("index", policy.index, own.get("index", _DEFAULT))
    elif asked.index_url:
        yield Setting("index", asked.index_url, in_spec)
    elif named:
        yield Setting("index", *named)
    else:
        yield Setting("index", None, "default of the resolver")
    extra = [("extra-indexes", policy.extra_indexes, own.get("extra_indexes", _DEFAULT))]
    extra += [("extra-index-url", asked.extra_index_urls, in_spec)]
    extra += [("find-links", asked.find_links, in_spec)]
    for name, urls, source in extra:
        if urls or name == "extra-indexes":
            yield Setting(name, list(urls), source)


def _network(settings: NetworkSettings) -> Iterator[Setting]:
    """Yield what the user's variables and the settings of pip, uv and conda say of the network."""
    named = [*settings.system, *settings.bundles]
    for each in named:
        yield Setting("certificates", each.value, each.source)
    if not settings.system:
        yield Setting("certificates", "those of the system", _DEFAULT)
    if settings.unverified:
        ignored = "checked all the same; ssl_verify: false is not followed"
        yield Setting("certificates", ignored, settings.unverified)
    for name, proxy in settings.proxies:
        yield Setting(name, proxy.value, proxy.source)
    if not settings.proxies:
        yield Setting("proxies", None, _DEFAULT)


def _caches(project: Project, own: Mapping[str, str]) -> Setting:
    caches = find_cache_home(project.policy.cache_home, project.root, project.local_home)
    source = own.get("cache_home", _DEFAULT)
    return Setting("cache-home", str(caches.path), caches.why or source)


def _policy(project: Project, own: Mapping[str, str]) -> Iterator[Setting]:
    for name in type(project.policy).model_fields:
        if name not in _ELSEWHERE and name != "environments":
            value = getattr(project.policy, name)
            if name == "notify_webhook" and value:
                value = _origin(value)
            yield Setting(name.replace("_", "-"), _plain(value), own.get(name, _DEFAULT))


def _environments(project: Project, own: Mapping[str, str], only: str | None) -> Iterator[Setting]:
    for name, policy in project.environments.items():
        if only in (None, name):
            for key, value in _pairs(policy):
                source = own.get(f"environments.{name}.{key}") or own.get("environments")
                written = f"environments.{name}.{key.replace('_', '-')}"
                yield Setting(written, _plain(value), source or _DEFAULT)


def _pairs(model: BaseModel) -> Iterator[tuple[str, object]]:
    return ((name, getattr(model, name)) for name in type(model).model_fields)


def _plain(value: object) -> Value:
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, tuple):
        return [str(each) for each in value]
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def _duration(value: timedelta) -> str:
    """Return a duration as a policy writes it, in the largest unit that fits."""
    seconds = int(value.total_seconds())
    for unit, length in _UNITS:
        if seconds and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} seconds" if seconds else "0"


def _origin(url: str) -> str:
    """Return the URL of a webhook without its path, which is often the secret itself."""
    address = urlsplit(url)
    return url if "${" in url else f"{address.scheme}://{address.netloc.rpartition('@')[2]}/***"


def _masked(value: Value) -> Value:
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, list):
        return [without_credentials(each) for each in value]
    if isinstance(value, dict):
        return {name: without_credentials(each) for name, each in value.items()}
    return value


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)
