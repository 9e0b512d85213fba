"""Watch releases: what the index has beyond a target's lock, and what became of what it holds."""

from __future__ import annotations

from dataclasses import replace

from elt_env.lock.releases import gone, news, usable, yanked
from elt_env.lock.request import rules_for
from elt_env.lockfile.document import Lock, Package
from elt_env.package.target import Target
from elt_env.release.store import ReleaseStore
from elt_env.toolbox import Toolbox
from elt_env.watch.decide import Outcome, Pages, Tick, Watcher, decide, no_lock
from elt_env.watch.plugins import see_plugins
from elt_env.watch.state import Holder, LostPackage, Sight, TargetState, shortened


def look_at_releases(target: Target, memory: TargetState, watcher: Watcher) -> Outcome:
    """Look for releases and yanks of what the target's lock holds, and decide what follows.

    Raises:
        IndexUnreachableError: an index does not answer for some package.
        EltEnvError: the spec, the lock or the release cannot be read, or a new lock not be made.
    """
    lock = watcher.toolbox.store.current_lock(target)
    if lock is None:
        return no_lock(target)
    return decide(lock, _see(lock, watcher.toolbox, watcher.tick), memory, watcher)


def _see(lock: Lock, toolbox: Toolbox, tick: Tick) -> Sight:
    every = toolbox.policy.watch_packages == "all"
    watched = [each for each in lock.pip if each.index and (every or each.requested)]
    watched.sort(key=lambda each: (not each.requested, each.name))
    released = [each for each in _released(lock, toolbox) if each.index]
    pages = tick.pages([*watched, *released], toolbox)
    rules = rules_for(lock, toolbox.project.spec(lock.target.environment), toolbox)
    there = [(each, pages.get((each.index, each.name))) for each in watched]
    found = [news(each, page, rules) for each, page in there if page is not None]
    plugins = see_plugins(lock, toolbox, tick)
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


def _released(lock: Lock, toolbox: Toolbox) -> tuple[Package, ...]:
    """Return what pip installed of the target's released lock."""
    release = ReleaseStore(toolbox.store).current(lock.target.name)
    return toolbox.store.read_lock(release.digest, lock.target).pip if release else ()


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
