"""Find code that a lock newly runs at every start of Python, from what is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from elt_env.conda import ChannelReader
from elt_env.environment.locked_files import PipFiles
from elt_env.environment.prefix import Prefix
from elt_env.environment.startup_code import StartupChange, StartupFile, in_archive, startup_changes
from elt_env.environment.startup_files import startup_files
from elt_env.errors import IntegrityError, NetworkError
from elt_env.lockfile.changes import compare
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.store.locks import Store


def new_startup(old: Lock | None, new: Lock, store: Store) -> tuple[StartupChange, ...] | None:
    """Return what runs at every start of Python by one lock, and did not by the lock before.

    None: it is not built, so nothing is known. Where only the old one is not, whatever runs at
    every start of a package that changed counts as new. Against no lock nothing does.
    """
    prefix = Prefix(store.prefix_path(new), new)
    if old is None:
        return ()
    return startup_since(old, prefix, store) if prefix.ready else None


def startup_in_archives(
    old: Lock | None, new: Lock, conda: ChannelReader, files: PipFiles, say: Say
) -> tuple[StartupChange, ...]:
    """Return the same of a lock that is not built, as far as the lists in the archives tell.

    No archive is downloaded. Against no lock nothing is new.
    """
    if old is None:
        return ()
    changes = [each for each in compare(old, new) if each.new]
    now = [each.new for each in changes if each.new]
    before = [each.old for each in changes if each.old]
    now_run, unknown = _archived(now, new, conda, files)
    if unknown:
        names = ", ".join(sorted(unknown))
        say(f"what runs at every start of Python is not known before the build: of {names}")
    brings = {each.package for each in now_run}
    known, _ = _archived([each for each in before if each.name in brings], old, conda, files)
    return startup_changes(known, now_run)


def _archived(
    packages: Sequence[Package], lock: Lock, conda: ChannelReader, files: PipFiles
) -> tuple[list[StartupFile], set[str]]:
    """Return what of packages runs at every start, and the names of those that do not tell."""
    from_conda = [each for each in packages if each.manager == "conda"]
    from_pip = [each for each in packages if each.manager == "pip"]
    try:
        listed: list[Mapping[str, str] | None] = [*conda.contents(from_conda)]
    except (NetworkError, IntegrityError):
        listed = [None] * len(from_conda)
    kept = {each.name: files.downloads.find(each.archive_name, each.sha256) for each in from_pip}
    urls = [path.as_uri() if (path := kept[each.name]) else each.url for each in from_pip]
    if urls:
        from elt_env.index.core_metadata import offered_contents  # slow to load

        listed += offered_contents(urls, files.indexes)
    found = list(zip((*from_conda, *from_pip), listed, strict=True))
    python = lock.target.python
    run = [file for each, names in found if names for file in in_archive(each, names, python)]
    return run, {each.name for each, names in found if names is None}


def startup_since(old: Lock, prefix: Prefix, store: Store) -> tuple[StartupChange, ...]:
    """Return the same of a prefix that is there."""
    before = Prefix(store.prefix_path(old), old)
    if before.ready:
        return startup_changes(startup_files(before), startup_files(prefix))
    changed = [each.package for each in compare(old, prefix.lock)]
    carried = {name for each in changed if each.conda for name, _ in each.conda.distributions}
    among = {each.name for each in changed} | carried
    return startup_changes((), startup_files(prefix), among)
