"""Collect: remove what no release and no current lock refers to, and nobody used lately.

Locks, evidence and the history stay, so everything can be built again. What a build, a check or a
command uses is marked as used (store/last_use.py), so it stays while they run.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta
from itertools import chain
from pathlib import Path

from elt_env.environment.collecting import Links, freed, remove_file, remove_prefix
from elt_env.errors import IntegrityError
from elt_env.image.collector import ImageCollector
from elt_env.image.store import ImageStore
from elt_env.machine.platform import target_here
from elt_env.machine.process import Say
from elt_env.machine.scratch import sweep_scratch
from elt_env.machine.users import in_use
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.project.project import Project
from elt_env.release.collect_documents import collect_documents
from elt_env.release.record import to_keep
from elt_env.release.store import ReleaseStore
from elt_env.runtime.files import remove, remove_tree
from elt_env.runtime.input_files import read_stored_text
from elt_env.store.collected import Item, What
from elt_env.store.last_use import mark_used, taken, used_since
from elt_env.store.locks import Store

GRACE = timedelta(days=1)
"""What was used since then stays, whoever refers to it: a run may be about to."""

_KEPT_FOR_OTHERS = timedelta(days=30)  # in caches that other projects use, since its last use
_LONGEST_WRITE = 3600.0  # seconds without a byte, after which nobody writes any more
# What has lost its name to be removed, and the names that tempfile makes, as they begin here.
_HALF_WRITTEN = re.compile(r"\.collected-.+|\..+[.-][a-z0-9_]{8}")
_TREES = ("work", "cache/uv", "cache/pip")
_ENTRIES: tuple[tuple[What, str, tuple[str, ...]], ...] = (
    ("bytecode", "of packages", ("bytecode/[!.]*/", "bytecode/*")),
    ("notes", "of sealed prefixes", ("sealed/[!.]*",)),
    ("layers", "of bases that projects share", ("bases/[!.]*", "bases/blobs/sha256/*")),
)
# What saves time and costs little to make again. Unpacked packages share their files with prefixes,
# and of what an index or a channel said no mark tells the last use.
_LASTING: tuple[tuple[What, str, tuple[str, ...]], ...] = (
    ("conda packages", "unpacked", ("conda/pkgs/[!.]*/",)),
    ("pages", "of indexes and channels", ("pages/[!.]*", "pages/metadata/*", "conda/repodata/*")),
)
_OF_CACHE = ("bases", "bytecode", "conda", "pages", "sealed", "wheels")


def collect(
    project: Project, store: Store, say: Say, *, grace: timedelta = GRACE, dry_run: bool = False
) -> tuple[Item, ...]:
    """Remove what nobody refers to, and return it; with `dry_run` only return it.

    Kept are the current lock's prefix and image of every target, and those of its last releases,
    as many as the policy says, the one before the current one in any case.

    Raises:
        IntegrityError: a pointer or the history cannot be read, so nobody knows what is wanted;
            nothing is removed then.
        StorageError: something cannot be removed.
    """
    home = store.local_home
    moment = (store.now() - grace).timestamp()
    found = []
    passed: Links | None = Links() if dry_run else None
    with _no_moves(project.policy, store):
        wanted = wanted_locks(project.policy, store)
        digests = {digest for _, digest in wanted}
        images = ImageCollector(ImageStore(store), digests, moment, dry_run=dry_run)
        for each in chain(
            _prefixes(home, wanted, moment, passed),
            images.collect(),
            collect_documents(store, digests, grace.total_seconds(), dry_run=dry_run),
            _archives(project, store, wanted, moment, dry_run=dry_run),
            _entries(project, store, moment, passed),
            _leftovers(home, moment, dry_run=dry_run),
            _half_written(project, store, moment, dry_run=dry_run),
        ):
            say(f"gc: {each}")
            found.append(each)
    if not dry_run:
        sweep_scratch()
    return tuple(found)


@contextmanager
def _no_moves(policy: Policy, store: Store) -> Iterator[None]:
    """Let promotions and roll backs wait: one might move to what is being removed."""
    releases = ReleaseStore(store)
    limit = policy.busy_limit.total_seconds()
    with ExitStack() as stack:
        for name in releases.targets():
            stack.enter_context(releases.sole_mover(name, limit))
        yield


def wanted_locks(policy: Policy, store: Store) -> frozenset[tuple[str, str]]:
    """Return the names of targets and the digests of their locks whose prefixes have to stay.

    Raises:
        IntegrityError: a pointer or the history of a target cannot be read.
    """
    releases = ReleaseStore(store)
    found: set[tuple[str, str]] = set()
    for name in releases.targets():
        kept = to_keep(releases.history(name), policy.keep_releases)
        found |= {(name, each) for each in kept}
    for target in _targets(store):
        pointer = store.pointer(target)
        if pointer is not None:
            found.add((target.name, pointer.current))
    return frozenset(found)


def _targets(store: Store) -> Iterator[Target]:
    for name in store.targets():
        environment, _, python = name.partition("@")
        yield target_here(environment, python)


def _prefixes(
    home: Path, wanted: frozenset[tuple[str, str]], moment: float, passed: Links | None
) -> Iterator[Item]:
    """Remove prefixes; of a dry run there is what it has `passed`."""
    kept = {f"{name}-{short(digest)}" for name, digest in wanted}
    there = [each for each in sorted((home / "prefixes").glob("[!.]*")) if each.name not in kept]
    busy = in_use(there)
    for path in there:
        if path not in busy:
            size = remove_prefix(path, moment, dry_run=passed is not None, passed=passed)
            if size is not None:
                yield Item("prefix", path.name, size)


def _archives(
    project: Project,
    store: Store,
    wanted: frozenset[tuple[str, str]],
    moment: float,
    *,
    dry_run: bool,
) -> Iterator[Item]:
    """Remove the archives of packages that no wanted lock has, and that can be fetched again.

    What other projects want of a cache that they share is not known here. So each marks there what
    it wants itself.
    """
    places = {
        each: since
        for cache, since in _caches(project, store, moment).items()
        for each in (*cache.glob("wheels/[!.]*"), *cache.glob("conda/archives/[!.]*"))
    }
    try:
        kept = {each for target in wanted for each in _archives_of(*target, store)}
    except IntegrityError:
        return  # nobody knows what that lock needs
    # What was built here may not come out the same again.
    home = store.local_home
    notes = [*home.glob("cache/builds/[!.]*"), *home.glob("builds/[!.]*")]
    kept |= set(map(_noted, notes))
    count = size = 0
    for each, since in places.items():
        if each.name in kept:
            if not dry_run and project.caches.shared:
                mark_used(each)
        elif not used_since(each, since):
            count, size = count + 1, size + freed(each)
            with nullcontext() if dry_run else taken(each, since) as mine:
                if mine is not None:
                    remove_tree(mine)
    if count:
        yield Item("archives", f"{count} of packages", size)


def _caches(project: Project, store: Store, moment: float) -> dict[Path, float]:
    """Return the directories of caches, and since when what was used in each stays."""
    own, used = store.local_home / "cache", project.caches.path
    lately = (store.now() - _KEPT_FOR_OTHERS).timestamp()
    return {own: moment, used: min(moment, lately) if project.caches.shared else moment}


def _entries(project: Project, store: Store, moment: float, passed: Links | None) -> Iterator[Item]:
    """Remove what caches have, of packages and of bases, and what nothing was made with lately."""
    caches = _caches(project, store, moment)
    lately = min(moment, (store.now() - _KEPT_FOR_OTHERS).timestamp())
    for entries, moments in ((_ENTRIES, caches), (_LASTING, dict.fromkeys(caches, lately))):
        for what, of, patterns in entries:
            sizes = [
                remove_file(each, since, dry_run=passed is not None, passed=passed)
                for cache, since in moments.items()
                for pattern in patterns
                for each in sorted(cache.glob(pattern))
                if each.is_dir() is pattern.endswith("/")
            ]
            removed = [each for each in sizes if each is not None]
            if removed:
                yield Item(what, f"{len(removed)} {of}", sum(removed))


def _noted(note: Path) -> str:
    """Return the sha256 of the wheel that a note is about; "" where it cannot be read."""
    try:
        return read_stored_text(note)[:64]
    except (OSError, UnicodeDecodeError):
        return ""


def _archives_of(name: str, digest: str, store: Store) -> Iterator[str]:
    environment, _, python = name.partition("@")
    lock = store.read_manifest(digest, target_here(environment, python))
    return (each.sha256 for each in lock.packages)


def _leftovers(home: Path, moment: float, *, dry_run: bool) -> Iterator[Item]:
    """Remove what interrupted work left: trees put aside, places of checks, half-made links."""
    patterns = (
        "prefixes/.removed-*",
        "work/*",
        "work/*/*",
        "roots/.removed-*",
        "roots/.collected-*",
    )
    there = [each for pattern in patterns for each in sorted(home.glob(pattern)) if each.is_dir()]
    busy = in_use(there)
    for path in there:
        if path not in busy and path.exists() and _untouched(path, moment):
            size = freed(path)
            if not dry_run:
                remove_tree(path)
            yield Item("leftover", str(path.relative_to(home)), size)


def _half_written(
    project: Project, store: Store, moment: float, *, dry_run: bool
) -> Iterator[Item]:
    """Remove what writers had not given its name yet when they were killed."""
    before = min(moment, time.time() - _LONGEST_WRITE)
    count = size = 0
    for path in _places_of_writers(project, store):
        if _HALF_WRITTEN.fullmatch(path.name) and _newest(path) < before:
            count, size = count + 1, size + freed(path)
            if not dry_run:
                remove(path)
    if count:
        yield Item("leftover", f"{count} half-written files and directories", size)


def _places_of_writers(project: Project, store: Store) -> Iterator[Path]:
    """Yield what lies in store and caches, but not in prefixes, images and trees of tools."""
    home, caches = store.local_home, _caches(project, store, 0)
    trees = {*(home / each for each in _TREES), *(each / "conda/pkgs" for each in caches)}
    outside = [each / name for each in caches if each.parent != home for name in _OF_CACHE]
    for directory, names, files in chain.from_iterable(map(os.walk, (home, *outside))):
        here = Path(directory)
        yield from (here / each for each in (*names, *files))
        names[:] = [
            each
            for each in names
            if not _HALF_WRITTEN.fullmatch(each)
            and here / each not in trees
            and here.name not in ("prefixes", "roots")
        ]


def _newest(path: Path) -> float:
    """Return when a file, or anything right in a directory, was changed last."""
    try:
        below = path.iterdir() if path.is_dir() and not path.is_symlink() else ()
        return max(float(each.lstat().st_mtime) for each in (path, *below))
    except FileNotFoundError:  # its writer has just given it its name
        return math.inf


def _untouched(path: Path, moment: float) -> bool:
    """Return whether a directory, and what is right below it, is older than `moment`."""
    return all(each.lstat().st_mtime < moment for each in (path, *path.iterdir()))
