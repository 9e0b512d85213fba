"""Watch releases: what the index has beyond a target's lock, and what became of what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from elt_env.lock.lock_tools import LockTools
from elt_env.lock.plugin_lock import LockedPlugin
from elt_env.lock.plugin_locks import plugin_locks
from elt_env.lock.releases import News, gone, news, usable, yanked
from elt_env.lock.request import rules_for
from elt_env.lockfile.document import Lock, Package
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.proof.checks.plugins import SMOKE
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from elt_env.watch.decide import Outcome, Pages, Tick, Watcher, decide, no_lock
from elt_env.watch.state import Holder, LostPackage, Sight, TargetState, shortened


@dataclass(frozen=True)
class PluginSight:
    """What there is for a target's plugins beyond what is locked for them.

    Attributes:
        looked_at: how many packages were looked at.
        news: the newer versions of each of them, newest first.
        lost: what was yanked, or is gone from its index.
    """

    looked_at: int
    news: tuple[tuple[News, ...], ...]
    lost: tuple[LostPackage, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what a new lock of plugins is to move."""
        usable = {each.name for versions in self.news for each in versions if each.usable}
        return tuple(sorted(usable | {each.name for each in self.lost}))


def see_plugins(lock: Lock, tools: LockTools, tick: Tick) -> PluginSight:
    """Look for releases and yanks of what is locked for the plugins that checks run.

    Watched is what the policy has watched of the lock: each plugin itself, or all that is
    installed for it. What a project pins itself cannot move.

    Raises:
        IntegrityError: a lock of plugins cannot be read.
        IndexUnreachableError: an index does not answer for some package.
    """
    watched = list(_watched(lock, tools.project, tools.store))
    pages = _pages(lock, [package for _, package in watched], tools, tick)
    spec = tools.project.spec(lock.target.environment)
    rules = replace(rules_for(lock, spec, tools.project.policy, tools.store.now), wheels_only=False)
    found: dict[str, tuple[News, ...]] = {}
    lost: dict[tuple[str, str], LostPackage] = {}
    for plugin, package in watched:
        there = [page for index in lock.indexes if (page := pages.get((index, package.name)))]
        page = next((each for each in there if not gone(package, each)), None)
        if page is None:
            if there:  # else it came from elsewhere
                lost[package.name, package.version] = _told(package, "is gone from its index")
            continue
        asked = replace(rules, spec="meltano.yml", requirements=plugin.asked)
        found[package.name] = (*found.get(package.name, ()), *news(package, page, asked))
        reason = yanked(package, page)
        if reason is not None:
            how = "was yanked" + (reason and f" ({reason})")
            lost[package.name, package.version] = _told(package, how)
    return PluginSight(len(watched), tuple(found.values()), tuple(lost.values()))


def _told(package: Package, how: str) -> LostPackage:
    return LostPackage(package.name, package.version, shortened(how), ("current",))


def _watched(lock: Lock, project: Project, store: Store) -> Iterator[tuple[LockedPlugin, Package]]:
    """Yield each package to look at once for each version of it that is locked."""
    every = project.policy.watch_packages == "all"
    run = {SMOKE, *project.environment(lock.target.environment).checks}
    seen = set()
    for check, kept in plugin_locks(store.documents, lock.target).items():
        for plugin in kept.plugins if check in run else ():
            for each in () if plugin.pins_itself else plugin.packages:
                key = each.name, each.version
                if (every or plugin.asks_for(each.name)) and key not in seen:
                    seen.add(key)
                    yield plugin, each


def _pages(lock: Lock, packages: list[Package], tools: LockTools, tick: Tick) -> Pages:
    """Return the pages of the packages on every index that the lock was made from."""
    asked = [replace(each, index=index) for each in packages for index in lock.indexes]
    return tick.pages(asked, tools) if asked else {}


def look_at_releases(target: Target, memory: TargetState, watcher: Watcher) -> Outcome:
    """Look for releases and yanks of what the target's lock holds, and decide what follows.

    Raises:
        IndexUnreachableError: an index does not answer for some package.
        EltEnvError: the spec, the lock or the release cannot be read, or a new lock not be made.
    """
    lock = watcher.tools.store.current_lock(target)
    if lock is None:
        return no_lock(target)
    return decide(lock, _see(lock, watcher.tools, watcher.tick), memory, watcher)


def _see(lock: Lock, tools: LockTools, tick: Tick) -> Sight:
    every = tools.project.policy.watch_packages == "all"
    watched = [each for each in lock.pip if each.index and (every or each.requested)]
    watched.sort(key=lambda each: (not each.requested, each.name))
    released = [each for each in _released(lock, tools.store) if each.index]
    pages = tick.pages([*watched, *released], tools)
    rules = rules_for(
        lock, tools.project.spec(lock.target.environment), tools.project.policy, tools.store.now
    )
    there = [(each, pages.get((each.index, each.name))) for each in watched]
    found = [news(each, page, rules) for each, page in there if page is not None]
    plugins = see_plugins(lock, tools, tick)
    found += plugins.news
    ignored = [next((each for each in versions if not each.usable), None) for versions in found]
    looked_at = f"{len(watched)} package{'s' * (len(watched) != 1)}"
    if plugins.looked_at:
        looked_at += f" and {plugins.looked_at} of plugins"
    return Sight(
        looked_at=looked_at,
        usable=tuple(each for versions in found for each in usable(versions)),
        ignored=tuple(each for each in ignored if each is not None),
        lost=(*_lost(watched, released, pages), *plugins.lost),
        plugins=plugins.names,
    )


def _released(lock: Lock, store: Store) -> tuple[Package, ...]:
    """Return what pip installed of the target's released lock."""
    release = ReleaseStore(store).current(lock.target.name)
    return store.read_lock(release.digest, lock.target).pip if release else ()


def _lost(current: list[Package], released: list[Package], pages: Pages) -> tuple[LostPackage, ...]:
    found: dict[tuple[str, str], LostPackage] = {}
    holders: tuple[tuple[Holder, list[Package]], ...] = (
        ("current", current),
        ("released", released),
    )
    for holder, packages in holders:
        for each in packages:
            page = pages.get((each.index, each.name))
            reason = yanked(each, page) if page else None
            if reason is not None:
                how = "was yanked" + (reason and f" ({reason})")
            elif gone(each, page):
                how = "is gone from its index"
            else:
                continue
            key = each.name, each.version
            before = found.get(key, LostPackage(*key, shortened(how), ()))
            found[key] = replace(before, holders=(*before.holders, holder))
    return tuple(found.values())
