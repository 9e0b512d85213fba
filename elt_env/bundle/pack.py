"""Pack: a bundle of a target's current lock and of all that a build takes for it."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

from elt_env.bundle.archive import write_archive
from elt_env.bundle.listing import Entry, Listing
from elt_env.bundle.names import (
    LOCK,
    archive_entry,
    built_entry,
    is_sdist,
    plugins_entry,
    spec_entry,
)
from elt_env.bundle.signature import sign, signature_path
from elt_env.environment.build import require_lock
from elt_env.environment.locked_files import locked_files
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.environment.recorded_files import wheel_of_sdist
from elt_env.errors import InputError
from elt_env.lock.plugin_lock import PluginLock, carried_not, packages_of
from elt_env.lock.plugin_locks import plugin_locks, render_plugin_lock
from elt_env.lock.satisfaction import unsatisfied
from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.runtime.files import sha256_of, write_atomically, writing_atomically
from elt_env.runtime.input_files import open_file, read_bytes
from elt_env.spec.document import Spec


@dataclass(frozen=True)
class _Member:
    """An entry, and the file or the text that it is."""

    entry: Entry
    content: Path | bytes

    def open(self) -> IO[bytes]:
        """Open it to be read."""
        if isinstance(self.content, bytes):
            return io.BytesIO(self.content)
        return open_file(self.content)


def pack_bundle(
    target: Target, tools: PrefixTools, path: Path, say: Say, *, key: Path | None = None
) -> Listing:
    """Write a bundle to `path`, all at once; return what it holds.

    Of the same lock and the same spec come the same bytes. With a key of OpenSSH it is signed, and
    the signature is written beside it.

    Raises:
        InputError: there is no lock, or it no longer satisfies the spec and the policy; or a wheel
            is missing of what is locked as an sdist; or nothing can be signed with the key.
        IntegrityError: what is kept or served is not what was locked.
        NetworkError: what is not kept cannot be fetched.
        StorageError: it cannot be written.
    """
    lock = require_lock(target, tools.store)
    spec = tools.project.spec(target.environment)
    reasons = unsatisfied(lock, spec, tools.project.policy, tools.conda.matches)
    if reasons:
        raise InputError(
            f"The lock of {target.name} no longer satisfies its spec and the policy:\n  "
            + "\n  ".join(reasons),
            f"Make a new one: elt-env lock {target.name}",
        )
    return write_bundle(lock, tools, path, say, key=key, plugins=_plugins(lock, tools, say))


def write_bundle(  # noqa: PLR0913  # what goes into it, and how
    lock: Lock,
    tools: PrefixTools,
    path: Path,
    say: Say,
    *,
    key: Path | None = None,
    plugins: Mapping[str, PluginLock] = MappingProxyType({}),
) -> Listing:
    """Write the bundle of any lock, as `pack_bundle` that of the current one, with today's spec.

    With the locks of plugins, by the checks that run them, the archives of these go along.
    """
    target = lock.target
    files = _spec_files(tools.project.spec(target.environment), tools.project.root)
    archives = {
        each.entry.name: each
        for each in (
            *_conda_archives(lock, tools, say),
            *_pip_archives((*lock.pip, *packages_of(plugins.values())), lock, tools, say),
        )
    }
    members = [
        _text(LOCK, lock_json.render(lock).encode()),
        *_spec_members(files),
        *(
            _text(plugins_entry(name), render_plugin_lock(plugins[name]))
            for name in sorted(plugins)
        ),
        *(archives[name] for name in sorted(archives)),
    ]
    listing = Listing(next(iter(files)), tuple(each.entry for each in members))
    if key:
        write_atomically(signature_path(path), sign(listing, key))
    opened = {each.entry: each.open for each in members}
    with writing_atomically(path) as file:
        write_archive(file, listing, lambda entry: opened[entry](), say)
    if lock.channel_source == "host":
        say(
            "bundle: conda's packages are of the HOST CHANNEL, made on this machine: they work "
            "where the C library and the system's libraries are the same or newer",
            logging.WARNING,
        )
    return listing


def _text(name: str, content: bytes) -> _Member:
    return _Member(Entry(name, len(content), hashlib.sha256(content).hexdigest()), content)


def _spec_members(files: Mapping[str, Path]) -> Iterator[_Member]:
    for below, path in files.items():
        yield _text(spec_entry(below), read_bytes(path))


def _spec_files(spec: Spec, root: Path) -> dict[str, Path]:
    """Return the files of a spec by their paths below another project, the spec itself first.

    Those that lie elsewhere than in this project keep their places to each other.
    """
    files = [Path(os.path.normpath(root / each)) for each in (spec.source, *spec.files)]
    above = root
    if not all(each.is_relative_to(root) for each in files):
        above = Path(os.path.commonpath([each.parent for each in files]))
    return {each.relative_to(above).as_posix(): each for each in files}


def _plugins(lock: Lock, tools: PrefixTools, say: Say) -> dict[str, PluginLock]:
    """Return the locks of plugins that a bundle carries, with a wheel of each sdist in them."""
    found = {}
    prefix = Prefix(tools.store.prefix_path(lock), lock)
    for check, each in plugin_locks(tools.store.documents, lock.target).items():
        why = carried_not(each) or ("" if prefix.ready else f"{lock.target.name} is not built")
        if why:
            say(f"bundle: the plugins that {check} installs are not in it: {why}", logging.WARNING)
            continue
        found[check] = each
        for package in filter(is_sdist, packages_of([each])):
            wheel_of_sdist(package, prefix, tools.files, say)
    return found


def _conda_archives(lock: Lock, tools: PrefixTools, say: Say) -> Iterator[_Member]:
    """Yield the archives of a lock's conda half, fetched where they are not kept."""
    here = tuple(map(tools.host_channel.found_here, lock.conda))
    for package, path in zip(lock.conda, tools.linker(lock).archives(here, say), strict=True):
        yield _file(archive_entry(package), path, package.sha256)


def _pip_archives(
    packages: Collection[Package], lock: Lock, tools: PrefixTools, say: Say
) -> Iterator[_Member]:
    """Yield the archives of distributions, and the wheels that were built of sdists."""
    files = locked_files(packages, lock, tools.files, say)
    for package in packages:
        yield _file(archive_entry(package), files[package.sha256], package.sha256)
        if is_sdist(package):
            wheel = tools.files.direct_wheels.built_of(package, f"python{lock.target.python}")
            if wheel is None:
                raise InputError(
                    f"{package.name} is locked as an sdist, of which no wheel was built yet.",
                    f"Build the environment, then bundle it: elt-env build {lock.target.name}",
                )
            yield _file(built_entry(package, wheel.name), wheel, sha256_of(wheel))


def _file(name: str, path: Path, sha256: str) -> _Member:
    return _Member(Entry(name, path.stat().st_size, sha256), path)
