"""The lock of a Meltano project's plugins: every package, for one target."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from elt_env.lockfile.changes import compare_packages
from elt_env.lockfile.document import Package
from elt_env.lockfile.requirements import pinned
from elt_env.package.canonical import digest_of
from elt_env.package.names import normalize

Asked = Mapping[tuple[str, str], str]
"""The `pip_url` of each plugin that has one, by its kind, as in `extractors`, and its name."""


@dataclass(frozen=True)
class LockedPlugin:
    """What is installed for one plugin, in a virtual environment of its own.

    Attributes:
        kind: its group, as in `extractors`.
        pip_url: what was asked for, as meltano.yml has it.
        packages: by version and sha256, sorted by name.
        direct: requirements of what no index has, by URL and commit.
    """

    kind: str
    name: str
    pip_url: str
    packages: tuple[Package, ...]
    direct: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """What the file with its requirements is called."""
        return f"{self.kind}-{self.name}.txt"

    @property
    def requirements(self) -> str:
        """The content of a requirements file that installs just this."""
        return pinned(self.packages) + "".join(f"{each}\n" for each in self.direct)

    @property
    def asked(self) -> tuple[str, ...]:
        """The requirements (PEP 508) in what was asked for, names normalized."""
        return tuple(_requirements(self.pip_url))

    def asks_for(self, name: str) -> bool:
        """Tell whether a package, by its normalized name, was asked for by name."""
        return any(Requirement(each).name == name for each in self.asked)

    @property
    def pins_itself(self) -> bool:
        """Whether the project names what is installed by its hashes, so that nothing may move."""
        return "--require-hashes" in self.pip_url

    @property
    def is_hashed(self) -> bool:
        """Whether all of it has a hash, so that pip and uv take `--require-hashes`."""
        return not self.direct


@dataclass(frozen=True)
class PluginLock:
    """What is installed for the plugins of one project; it lies beside the target's lock.

    Attributes:
        python: the Python minor it is for.
        platform: the conda subdir it is for.
        plugins: sorted by kind and name.
    """

    python: str
    platform: str
    plugins: tuple[LockedPlugin, ...]

    @property
    def digest(self) -> str:
        """The sha256 of what is installed, wherever and whenever it was locked."""
        plugins = [
            [
                *(each.kind, each.name, list(each.direct)),
                [[one.name, one.version, one.sha256] for one in each.packages],
            ]
            for each in self.plugins
        ]
        return digest_of([self.python, self.platform, plugins])

    @property
    def is_movable(self) -> bool:
        """Whether something in it may move when it is locked anew."""
        return not all(each.pins_itself for each in self.plugins)

    def holds(self, names: Collection[str]) -> bool:
        """Tell whether one of these packages, by normalized names, may move in it."""
        return any(
            each.name in names
            for plugin in self.plugins
            if not plugin.pins_itself
            for each in plugin.packages
        )

    def answers(self, asked: Asked, python: str, platform: str) -> bool:
        """Tell whether it is what was locked for these plugins, this Python and platform."""
        mine = {(each.kind, each.name): each.pip_url for each in self.plugins}
        return (mine, self.python, self.platform) == (dict(asked), python, platform)


def _requirements(pip_url: str) -> Iterator[str]:
    for word in pip_url.split():
        with contextlib.suppress(InvalidRequirement):
            found = Requirement(word)
            yield f"{normalize(found.name)}{found.specifier}"


def packages_of(locks: Iterable[PluginLock]) -> tuple[Package, ...]:
    """Return the packages of all plugins, each archive once, in their order."""
    packages = (one for lock in locks for each in lock.plugins for one in each.packages)
    return tuple({each.sha256: each for each in packages}.values())


def carried_not(lock: PluginLock) -> str:
    """Return why plugins cannot be taken to a machine without a network; "" where they can."""
    direct = [each.name for each in lock.plugins if each.direct]
    return f"{', '.join(direct)} comes from a URL" if direct else ""


def plugin_changes(old: PluginLock | None, new: PluginLock) -> tuple[str, ...]:
    """Return what changed from `old` to `new`, a line each; nothing where there was none before."""
    return tuple(_changes(old, new)) if old else ()


def _changes(old: PluginLock, new: PluginLock) -> Iterator[str]:
    before = {(each.kind, each.name): each for each in old.plugins}
    after = {(each.kind, each.name): each for each in new.plugins}
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key), after.get(key)
        for change in compare_packages(
            one.packages if one else (), other.packages if other else ()
        ):
            yield f"{key[1]}: {change}"
        gone, come = (set(each.direct) if each else set() for each in (one, other))
        yield from (f"{key[1]}: - {each}" for each in sorted(gone - come))
        yield from (f"{key[1]}: + {each}" for each in sorted(come - gone))
