"""Sources: a package comes from the index or channel that it came from, or that a person names."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from elt_env.conda import ChannelReader
from elt_env.conda.channels import may_be_from
from elt_env.errors import IntegrityError, NetworkError, SourceError
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.origins import (
    Order,
    SourceChange,
    explained,
    is_accepted,
    is_at,
    pinned_to,
    source_changes,
    source_of,
)
from elt_env.lock.places import bare
from elt_env.lock.request import LockRequest
from elt_env.lockfile.document import Lock, Manager, Package
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.project.policy import Policy
from elt_env.project.project import Project
from elt_env.runtime.texts import first_of
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.index.package_index import PackageIndex

_NAMED = 10
_INDEX_NAMES = "index-names says whose it is"
_CHANNEL_NAMES = "channel-names says whose they are"


def require_sources(lock: Lock, question: LockRequest, tools: LockTools, say: Say) -> Lock:
    """Return a new lock whose packages come from where they may come from, with notes.

    A package stays with the index or channel that the lock before names, and that of the
    environment's other Pythons, unless a person changed what explains it, accepted it, or the
    policy says where it belongs. Of what is locked for the first time, a name that several indexes
    or channels have is noted, or refused by `index-policy = "strict"`.

    Raises:
        SourceError: a package would come from elsewhere.
        NetworkError: under a strict policy, an index or channel does not say whether it has a name.
    """
    free = {normalize(Requirement(each.requirement).name) for each in question.directs}
    packages = [each for each in lock.packages if _has_source(each, lock, free)]
    _require_pinned(lock, packages, tools.project.policy)
    open_ = [each for each in packages if not _decided(each, question, tools.project.policy)]
    recorded = _recorded(question, tools.project, tools.store)
    changes = [
        (before, change)
        for before in recorded
        for change in source_changes(before, replace(lock, packages=tuple(open_)))
    ]
    known = {(change.manager, change.name) for _, change in changes}
    for before in recorded:
        known |= {(each.manager, each.name) for each in before.packages}
    _require_explained(changes, lock, tools.files.indexes, say)
    new = [each for each in open_ if (each.manager, each.name) not in known]
    return replace(lock, notes=(*lock.notes, *_on_several(new, lock, tools, say)))


def _has_source(package: Package, lock: Lock, free: set[str]) -> bool:
    """Tell whether a package is from an index or channel, and not of what a spec names by URL."""
    if package.manager == "conda":
        return lock.channel_source == "remote"
    return package.index is not None or package.name not in free


def _pins(manager: Manager, policy: Policy) -> dict[str, tuple[str, ...]]:
    return policy.index_names if manager == "pip" else policy.channel_names


def _require_pinned(lock: Lock, packages: list[Package], policy: Policy) -> None:
    faults = []
    for each in packages:
        places = pinned_to(each.name, each.manager, _pins(each.manager, policy))
        if places and not any(is_at(source_of(each), place) for place in places):
            faults.append(f"{each.name} belongs to {' or '.join(places)}; {_found(each)}")
    if faults:
        raise SourceError(
            f"{lock.target.name}: packages would come from elsewhere than the policy says:\n"
            f"  {_listed(faults)}",
            "Find out why the place that it belongs to does not have it, or has it only after "
            "another one was asked; or change index-names and channel-names in [tool.elt-env].",
        )


def _found(package: Package) -> str:
    return f"{package.name} {package.version} was found on {source_of(package)}"


def _decided(package: Package, question: LockRequest, policy: Policy) -> bool:
    """Tell whether a person said where a package comes from, be it by its name alone."""
    if is_accepted(package.name, package.manager, question.accepted):
        return True
    spec = question.spec
    if package.manager == "conda":
        named = {each.name for each in (spec.python_spec, *spec.conda) if each.channel}
        if package.name in named:
            return True
    return bool(pinned_to(package.name, package.manager, _pins(package.manager, policy)))


def _recorded(question: LockRequest, project: Project, store: Store) -> list[Lock]:
    """Return the locks that tell where packages came from: the one before, and of other Pythons."""
    found = [question.previous] if question.previous else []
    target = question.target
    for python in project.environment(question.target.environment).pythons:
        other = replace(target, python=python)
        if other != target:
            with contextlib.suppress(IntegrityError):
                found += filter(None, [store.current_lock(other)])
    return found


def _require_explained(
    changes: list[tuple[Lock, SourceChange]],
    lock: Lock,
    indexes: Indexes,
    say: Say,
) -> None:
    faults: dict[str, SourceChange] = {}
    moved: dict[tuple[str, str], set[str]] = {}
    for before, change in changes:
        if change.manager == "conda" and before.channel_source != lock.channel_source:
            continue  # the policy's channel-fallback decides that, and it is said already
        same = _sha256(change, before) == _sha256(change, lock)  # nothing was taken over
        if same or _is_explained(change, before, lock, indexes):
            moved.setdefault((change.old, change.new), set()).add(change.name)
        else:
            faults.setdefault(change.name, change)
    if faults:
        _refuse(list(faults.values()), lock)
    for (old, new), names in moved.items():
        say(
            f"from {new} now, and from {old} before, as the places that packages come from say, or "
            f"with the same bytes: {', '.join(sorted(names))}",
            logging.WARNING,
        )


def _sha256(change: SourceChange, lock: Lock) -> str:
    return lock.package(change.manager, change.name).sha256


def _refuse(faults: list[SourceChange], lock: Lock) -> None:
    name = lock.target.name
    lines = [f"{_found(lock.package(each.manager, each.name))}; {each}" for each in faults]
    accept = " ".join(f"--accept-index {each.name}" for each in faults)
    owner, first = faults[0].old, faults[0].name
    raise SourceError(
        f"{name}: packages would come from another index or channel than was recorded, and nothing "
        f"that you changed says so:\n  {_listed(lines)}",
        f"Find out why {owner} does not have {first} any more: a permission that was lost looks "
        f"the same. If the other one is right: elt-env relock {name} {accept}; for good, name it "
        f"in {'channel' if faults[0].manager == 'conda' else 'index'}-names in [tool.elt-env].",
    )


def _is_explained(change: SourceChange, before: Lock, lock: Lock, indexes: Indexes) -> bool:
    if change.manager == "pip":
        return explained(change, _pip_before(before), _pip_now(indexes))
    old, new = (Order(tuple(map(bare, each.channels))) for each in (before, lock))
    said, says = (_lines(each, ("channel", f"from: {change.name} ")) for each in (before, lock))
    mirror = f"{change.old}/x/x"  # as an archive's URL
    if said == says and change.old not in new.named and may_be_from(mirror, lock.channels):
        # The settings of a machine name a mirror of the channel.
        return may_be_from(mirror, (change.new,))
    if before.places is not None:
        rules = ("channel-priority: ", f"from: {change.name} ")
        old, new = replace(old, rule=_lines(before, rules)), replace(new, rule=_lines(lock, rules))
    return explained(change, old, new)


def _lines(lock: Lock, starts: tuple[str, ...]) -> str:
    return "\n".join(each for each in lock.places or () if each.startswith(starts))


def _pip_before(lock: Lock) -> Order:
    """Return the order of a lock's indexes, as the spec and the policy named them then."""
    places = [each.partition(": ") for each in lock.places or ()]
    main = next((value for kind, _, value in places if kind == "index"), "")
    named = tuple(value for kind, _, value in places if kind == "extra-index")
    return Order(named, main, links=any(kind == "find-links" for kind, *_ in places))


def _pip_now(indexes: Indexes) -> Order:
    main = "" if indexes.default is None else bare(indexes.default.url)
    named = tuple(bare(each.url) for each in indexes.extra)
    return Order(named, main, links=bool(indexes.links))


def _on_several(packages: list[Package], lock: Lock, tools: LockTools, say: Say) -> tuple[str, ...]:
    """Return notes of the packages that several indexes or channels have.

    Raises:
        SourceError: there are some, and the policy is strict.
    """
    indexes = [f"{each} is on {', '.join(at)}" for each, at in _homes(packages, lock, tools, say)]
    channels = [
        f"{first_of(names, _NAMED)} {'is' if len(names) == 1 else 'are'} on {', '.join(at)}"
        for at, names in _channel_homes(
            packages, lock, tools.conda, tools.project.policy, say
        ).items()
    ]
    if (indexes or channels) and tools.project.policy.index_policy == "strict":
        key = "index-names" if indexes else "channel-names"
        raise SourceError(
            f"{lock.target.name}: several indexes or channels have these names, and the policy "
            f'does not say whose they are (index-policy = "strict"):\n'
            f"  {_listed([*indexes, *channels])}",
            f'Say it in [tool.elt-env.{key}], as in: "https://packages.example/simple" = '
            '["corp-*"]; ["*"] for all that it has.',
        )
    notes = [f"{each}; it is taken from the first of them ({_INDEX_NAMES})" for each in indexes]
    notes += [f"{each}; taken from the first of them ({_CHANNEL_NAMES})" for each in channels]
    for each in notes:
        say(each, logging.WARNING)
    return tuple(notes)


def _channel_homes(
    packages: list[Package], lock: Lock, conda: ChannelReader, policy: Policy, say: Say
) -> dict[tuple[str, ...], list[str]]:
    """Return the names that several channels have: by these, the one they are from first."""
    mine = {each.name: source_of(each) for each in packages if each.manager == "conda"}
    if not mine or len(lock.channels) == 1:
        return {}
    having = {
        channel: names
        for channel in lock.channels
        if (names := _names_on(channel, lock, conda, policy, say)) is not None
    }
    found: dict[tuple[str, ...], list[str]] = {}
    for name, source in sorted(mine.items()):
        others = [each for each, names in having.items() if name in names and each != source]
        if others:
            found.setdefault((source, *others), []).append(name)
    return found


def _names_on(
    channel: str, lock: Lock, conda: ChannelReader, policy: Policy, say: Say
) -> frozenset[str] | None:
    try:
        return frozenset(conda.names((channel,), lock.target.platform))
    except NetworkError as error:
        if policy.index_policy == "strict":
            raise
        first = error.headline
        say(
            f"whether another channel has names that are taken is not known: {first}",
            logging.WARNING,
        )
        return None


def _homes(
    packages: list[Package], lock: Lock, tools: LockTools, say: Say
) -> Iterator[tuple[str, list[str]]]:
    """Yield the names that several indexes have, each with their URLs, the one it is from first.

    An index that was asked before the one that has it answered that it has not.
    """
    urls = [each.url for each in tools.files.indexes.all]
    if tools.files.indexes.default is None:
        urls += [each for each in lock.indexes if each not in urls]
    homes = {each.name: [each.index] for each in packages if each.manager == "pip" and each.index}
    for place, url in enumerate(urls):
        asked = {name: url for name, (first, *_) in homes.items() if first in urls[:place]}
        for name in _having(asked, tools.package_index, tools.project.policy, say):
            homes[name].append(url)
    yield from ((name, found) for name, found in sorted(homes.items()) if len(found) > 1)


def _having(
    asked: dict[str, str], package_index: PackageIndex, policy: Policy, say: Say
) -> Iterator[str]:
    """Yield the names that an index has.

    Raises:
        NetworkError: it does not say, and the policy is strict.
    """
    if not asked:
        return
    try:
        yield from package_index.look(asked, may_lack=True).pages
    except NetworkError as error:
        if policy.index_policy == "strict":
            raise
        first = error.headline
        say(
            f"whether another index has names that are taken is not known: {first}", logging.WARNING
        )


def _listed(lines: list[str]) -> str:
    return first_of(lines, _NAMED, "\n  ")
