"""The origins of locked packages, compared with where a person said to take them from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from elt_env.lock.places import bare
from elt_env.lockfile.document import Lock, Manager, Package
from elt_env.package.names import normalize

_WORDS: dict[Manager, str] = {"conda": "channel", "pip": "index"}


def source_of(package: Package) -> str:
    """Return the URL of the index or channel of a package; of its directory where it has neither.

    A conda URL is channel, subdir and file name (CEP 15).
    """
    if package.manager == "conda":
        return bare(package.url.rsplit("/", maxsplit=2)[0])
    return bare(package.index or package.url.rpartition("/")[0])


def hosts_of(lock: Lock) -> tuple[str, ...]:
    """Return the hosts that a lock's files come from, sorted; `this machine` for its own files."""
    urls = [*lock.indexes, *(each.url for each in lock.packages)]
    return tuple(
        sorted({urlsplit(each).netloc.rpartition("@")[2] or "this machine" for each in urls})
    )


@dataclass(frozen=True)
class SourceChange:
    """A package that is taken from another index or channel than before.

    Attributes:
        old, new: URLs, without credentials.
    """

    name: str
    manager: Manager
    old: str
    new: str

    @property
    def kind(self) -> str:
        """What its places are called: `index` or `channel`."""
        return _WORDS[self.manager]

    def __str__(self) -> str:
        return f"{self.name} comes from the {self.kind} {self.new}, and came from {self.old}"


def source_changes(old: Lock | None, new: Lock) -> tuple[SourceChange, ...]:
    """Return which packages of both locks come from another place in the new one, by name."""
    before = {(each.manager, each.name): source_of(each) for each in old.packages} if old else {}
    found = (
        SourceChange(each.name, each.manager, before[each.manager, each.name], source_of(each))
        for each in new.packages
        if (each.manager, each.name) in before
    )
    return tuple(each for each in found if each.old != each.new)


@dataclass(frozen=True)
class Order:
    """The places of one half in the order in which they are asked, as a person named them.

    Attributes:
        named: URLs.
        rest: the URL of what is asked after them, which settings of a machine may name; "" where
            that is not known. Whatever is not named counts as this one.
        rule: how the order is followed, where a person says so.
        links: whether pages of archives are among them; what is none of the others lies there.
    """

    named: tuple[str, ...]
    rest: str | None = None
    rule: str = ""
    links: bool = False

    def place(self, url: str) -> int | None:
        """Return the place of a URL; None where it is not one of these any more."""
        if url in self.named:
            return self.named.index(url)
        if self.rest is not None and self.rest in ("", url):
            return len(self.named)
        return -1 if self.links else None


def explained(change: SourceChange, before: Order, now: Order) -> bool:
    """Tell whether what a person changed in the order of the places explains a change.

    It does where the old place is gone from it, the new one came to it, the two changed sides, or
    another rule is followed. Where all that is as it was, the old place has stopped to have the
    package, or another has begun to.
    """
    if before.rule != now.rule:
        return True
    old_then, new_then = before.place(change.old), before.place(change.new)
    old_now, new_now = now.place(change.old), now.place(change.new)
    if old_now is None or new_then is None:
        return True
    if old_then is None or new_now is None or old_then == new_then:
        return False
    return (old_then < new_then) != (old_now < new_now)


Pins = Mapping[str, Sequence[str]]
"""By URL the names that belong to an index or channel alone; one may end with `*`."""


def pinned_to(name: str, manager: Manager, pins: Pins) -> tuple[str, ...]:
    """Return the places that a policy says a name belongs to, bare."""
    return tuple(
        bare(url)
        for url, names in pins.items()
        if any(_fits(name, manager, each) for each in names)
    )


def is_at(source: str, place: str) -> bool:
    """Tell whether a place, a URL or a channel's name, is that source."""
    return source == place if "://" in place else source.rpartition("/")[2] == place


def _fits(name: str, manager: Manager, pattern: str) -> bool:
    start, star, _ = pattern.partition("*")
    wanted = _normalized(start, manager)
    return (
        _normalized(name, manager).startswith(wanted)
        if star
        else (_normalized(name, manager) == wanted)
    )


def _normalized(name: str, manager: Manager) -> str:
    """Return a name as its half compares it; the dash that a prefix ends with stays (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower() if manager == "pip" else name.lower()


def is_accepted(name: str, manager: Manager, accepted: Iterable[str]) -> bool:
    """Tell whether a person accepted another place for a name."""
    if manager == "pip":
        return normalize(name) in {normalize(each) for each in accepted}
    return name in set(accepted)
