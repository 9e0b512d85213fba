"""The places that packages come from: what the spec and the policy say of them, and what changed.

Only what stands in the spec and in the policy is compared, URLs without credentials. Settings of a
machine (`.condarc`, `pip.conf`, `uv.toml` and their variables) are not: where they name a mirror,
the lock that others made stays as good as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit, urlunsplit

from elt_env.lockfile.document import Lock
from elt_env.project.policy import Policy
from elt_env.spec.document import Spec

_CHANGED = {
    "python": "the policy's 'python' changed: conda's, or that of this machine in a venv",
    "channel": "the spec's channels changed",
    "channel-alias": "the channel alias changed: names of channels stand for other URLs",
    "channel-priority": "the channel priority changed",
    "index": "the package index changed",
    "extra-index": "the extra package indexes changed",
    "find-links": "the wheelhouse, or the places of --find-links, changed",
}
_FROM = "from"


def declared_places(spec: Spec, policy: Policy) -> tuple[str, ...]:
    """Return what the spec and the policy say of the places, as `kind: value` lines."""
    return tuple(f"{kind}: {value}" for kind, value in _declared(spec, policy))


def _declared(spec: Spec, policy: Policy) -> Iterator[tuple[str, str]]:
    if spec.venv:
        yield "python", "venv"
    else:
        yield from _of_conda(spec, policy)
    asked = spec.pip_options
    for main in (policy.index, asked.index_url):
        if main:
            yield "index", bare(main)
    for url in (*policy.extra_indexes, *asked.extra_index_urls):
        yield "extra-index", bare(url)
    if policy.wheelhouse:
        yield "find-links", bare(policy.wheelhouse)
    for url in asked.find_links:
        yield "find-links", bare(url)


def _of_conda(spec: Spec, policy: Policy) -> Iterator[tuple[str, str]]:
    for channel in spec.channels or policy.channels:
        yield "channel", bare(channel)
    if policy.channel_alias:
        yield "channel-alias", bare(policy.channel_alias)
    if policy.channel_priority:
        yield "channel-priority", policy.channel_priority
    for each in (spec.python_spec, *spec.conda):
        if each.channel:
            yield _FROM, f"{each.name} {bare(each.channel)}/{each.subdir}".rstrip("/")


def changed_places(lock: Lock, spec: Spec, policy: Policy) -> tuple[str, ...]:
    """Return how the places differ from those of a lock; empty where they are the same.

    Where they differ, a lock is made anew without regard for what was locked: what came from a
    place that is gone cannot stay, and a new place may have what the lock should hold.
    """
    reasons = [*_no_host_channel(lock, policy)]
    now = tuple(_declared(spec, policy))
    if lock.places is None:
        reasons += _since(lock, spec)
    else:
        before = tuple(_pair(line) for line in lock.places)
        kinds = dict.fromkeys(kind for kind, _ in (*before, *now))
        for kind in kinds:
            old, new = _of(kind, before), _of(kind, now)
            if old != new:
                reasons += _moved(old, new) if kind == _FROM else [_CHANGED[kind]]
    return tuple(reasons or _unknown_index(lock, spec, policy))


def bare(url: str) -> str:
    """Return a URL without credentials, query and a slash at its end; a name is left as it is."""
    if "://" not in url:
        return url.strip().rstrip("/")
    address = urlsplit(url.strip())
    host = address.netloc.rpartition("@")[2].lower()
    return urlunsplit((address.scheme, host, address.path, "", "")).rstrip("/")


def _no_host_channel(lock: Lock, policy: Policy) -> Iterator[str]:
    if lock.channel_source == "host" and policy.channel_fallback == "none":
        yield "it was made from the host channel, which the policy no longer allows"


def _since(lock: Lock, spec: Spec) -> Iterator[str]:
    """Yield what changed since a lock was made that knows only the channels of its spec."""
    before = [line for line in lock.requirements if line.startswith("channel: ")]
    if before != [f"channel: {channel}" for channel in spec.channels]:
        yield _CHANGED["channel"]


def _unknown_index(lock: Lock, spec: Spec, policy: Policy) -> Iterator[str]:
    """Yield the packages whose index is none of those that the policy names."""
    if not policy.index:
        return
    asked = spec.pip_options
    listed = (policy.index, asked.index_url, *policy.extra_indexes, *asked.extra_index_urls)
    known = {bare(each) for each in (*listed, *asked.find_links) if each}
    for each in lock.pip:
        if each.index is not None and bare(each.index) not in known:
            yield f"pip: {each.name} is locked from {each.index}, which is no longer an index"


def _pair(line: str) -> tuple[str, str]:
    kind, _, value = line.partition(": ")
    return kind, value


def _of(kind: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [value for each, value in pairs if each == kind]


def _moved(old: list[str], new: list[str]) -> Iterator[str]:
    """Yield the requirements that name another channel than before."""
    before, now = (dict(each.split(" ", 1) for each in lines) for lines in (old, new))
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"conda: {name} may come from any channel, no longer from {before[name]} alone"
        elif before.get(name) != now[name]:
            yield f"conda: {name} is to come from {now[name]}"
