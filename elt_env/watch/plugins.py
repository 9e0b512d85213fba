"""Watch the releases of what is locked for Meltano's plugins, in environments of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from elt_env.lock.plugin_lock import LockedPlugin
from elt_env.lock.plugin_locks import plugin_locks
from elt_env.lock.releases import News, gone, news, yanked
from elt_env.lock.request import rules_for
from elt_env.lockfile.document import Lock, Package
from elt_env.proof.checks.plugins import SMOKE
from elt_env.toolbox import Toolbox
from elt_env.watch.decide import Pages, Tick
from elt_env.watch.state import LostPackage, shortened


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


def see_plugins(lock: Lock, toolbox: Toolbox, tick: Tick) -> PluginSight:
    """Look for releases and yanks of what is locked for the plugins that checks run.

    Watched is what the policy has watched of the lock: each plugin itself, or all that is
    installed for it. What a project pins itself cannot move.

    Raises:
        IntegrityError: a lock of plugins cannot be read.
        IndexUnreachableError: an index does not answer for some package.
    """
    watched = list(_watched(lock, toolbox))
    pages = _pages(lock, [package for _, package in watched], toolbox, tick)
    spec = toolbox.project.spec(lock.target.environment)
    rules = replace(rules_for(lock, spec, toolbox), wheels_only=False)
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


def _watched(lock: Lock, toolbox: Toolbox) -> Iterator[tuple[LockedPlugin, Package]]:
    """Yield each package to look at once for each version of it that is locked."""
    every = toolbox.policy.watch_packages == "all"
    seen = set()
    for check, kept in plugin_locks(toolbox.store.documents, lock.target).items():
        is_run = check in toolbox.environment.checks or check == SMOKE
        for plugin in kept.plugins if is_run else ():
            for each in () if plugin.pins_itself else plugin.packages:
                key = each.name, each.version
                if (every or plugin.asks_for(each.name)) and key not in seen:
                    seen.add(key)
                    yield plugin, each


def _pages(lock: Lock, packages: list[Package], toolbox: Toolbox, tick: Tick) -> Pages:
    """Return the pages of the packages on every index that the lock was made from."""
    asked = [replace(each, index=index) for each in packages for index in lock.indexes]
    return tick.pages(asked, toolbox) if asked else {}
