"""Unpack: put a bundle into a project and its store, once all of it was checked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from elt_env.bundle.archive import ArchiveReader
from elt_env.bundle.listing import REMEDY, Entry, Listing
from elt_env.bundle.names import (
    LOCK,
    archive_entry,
    built_entry,
    is_sdist,
    is_text,
    plugins_check,
    spec_path,
)
from elt_env.bundle.place import Place, find_place
from elt_env.bundle.signature import require_signature, signature_path
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import InputError, IntegrityError
from elt_env.lock.plugin_lock import PluginLock, packages_of
from elt_env.lock.plugin_locks import parse_plugin_lock, write_plugin_lock
from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.project.project import Project
from elt_env.project.unlisted import remember
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import cause, open_file
from elt_env.runtime.limits import MOST_LOCK_BYTES
from elt_env.store.kept_files import KeptFiles

_NAMED = 10


@dataclass(frozen=True)
class _Checked:
    """What is in a bundle, every byte of which was compared with its list.

    Attributes:
        spec: path of the environment's spec, among `files`.
        files: the spec and what it includes, by path below the project.
        built: the wheels of locked sdists, with the sdist of each.
        plugins: the locks of plugins, by the checks that run them.
    """

    listing: Listing
    lock: Lock
    spec: str
    files: Mapping[str, bytes]
    built: Mapping[Entry, Package]
    plugins: Mapping[str, PluginLock]


def unpack_bundle(
    path: Path,
    project: Project,
    open_tools: Callable[[Project, str], PrefixTools],
    say: Say,
    *,
    signers: Path | None = None,
) -> Lock:
    """Make the lock of a bundle the current one of its target, and keep its archives.

    Each step is done whole or not at all, the lock becomes the current one last, and what was
    interrupted is taken up by the next call. Where `signers` may sign, its signature is looked at
    before anything else; the policy's `bundle-signers` are asked otherwise.

    Raises:
        InputError: there is no such file, or it does not go with the project.
        IntegrityError: it is not as it was written; nothing was changed then.
        StorageError: the store or the project cannot be written.
    """
    with _opened(path) as file:
        reader = ArchiveReader(file, path)
        _require_signed(reader.listing, path, signers or project.bundle_signers, say)
        checked = _check(reader, path, say)
        place = find_place(checked.lock, checked.spec, checked.files, project, open_tools, say)
        store = place.tools.store
        store.claim()
        file.seek(0)
        _keep_archives(ArchiveReader(file, path), checked, place.tools, say)
    _write_spec(place, checked.lock, project, say)
    for check, plugins in checked.plugins.items():
        write_plugin_lock(store.documents, checked.lock.target, check, plugins)
    store.write_lock(checked.lock)
    store.set_current(checked.lock.target, checked.lock.digest, place.tools.store.now())
    return checked.lock


def _require_signed(listing: Listing, path: Path, signers: Path | None, say: Say) -> None:
    if signers:
        say(f"bundle: signed by {require_signature(listing, path, signers)}")
    elif signature_path(path).exists():
        say(f"bundle: {signature_path(path).name} is not looked at; --signers FILE does")


def keep_archives_of(lock: Lock, path: Path, tools: PrefixTools, say: Say) -> None:
    """Put the archives of a bundle, which is that of the lock, where a build looks for them.

    Raises:
        IntegrityError: it is not as it was written, of another lock, or not signed by one of the
            policy's `bundle-signers`; nothing was changed then.
    """
    with _opened(path) as file:
        reader = ArchiveReader(file, path)
        _require_signed(reader.listing, path, tools.project.bundle_signers, say)
        checked = _check(reader, path, say)
        if checked.lock.digest != lock.digest:
            raise IntegrityError(
                f"{path} is the bundle of the lock {checked.lock.digest}, not of {lock.digest}.",
                REMEDY,
            )
        file.seek(0)
        _keep_archives(ArchiveReader(file, path), checked, tools, say)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = open_file(path)
    except OSError as error:
        raise InputError(
            f"The bundle {path} cannot be read: {cause(error)}.",
            "Name the file that elt-env bundle wrote.",
        ) from error
    with file:
        yield file


def _check(reader: ArchiveReader, path: Path, say: Say) -> _Checked:
    """Read a bundle to its end, and return what is in it.

    Raises:
        IntegrityError: anything is not as its list or its lock says.
    """
    texts = {}
    for entry, chunks in reader.contents("checked", say):
        if is_text(entry.name) and entry.size <= MOST_LOCK_BYTES:
            texts[entry.name] = b"".join(chunks)
        else:
            _pass_over(chunks)
    listing = reader.listing
    try:
        lock = lock_json.parse(texts.pop(LOCK).decode(), f"{LOCK} in {path}", REMEDY)
    except (KeyError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path} holds no lock.", REMEDY) from error
    plugins = {
        check: _plugin_lock(text, name, path)
        for name, text in texts.items()
        if (check := plugins_check(name))
    }
    packages = {archive_entry(each): each for each in lock.packages}
    packages |= {archive_entry(each): each for each in packages_of(plugins.values())}
    built = _built(listing, packages.values())
    _require_wanted(listing, packages, built, path)
    files = {below: text for name, text in texts.items() if (below := spec_path(name))}
    if listing.spec not in files:
        raise IntegrityError(f"{path} does not hold the spec {listing.spec}.", REMEDY)
    return _Checked(listing, lock, listing.spec, files, built, plugins)


def _plugin_lock(content: bytes, name: str, path: Path) -> PluginLock:
    try:
        return parse_plugin_lock(content)
    except ValueError as error:
        raise IntegrityError(f"{name} in {path} is no lock of plugins.", REMEDY) from error


def _built(listing: Listing, packages: Iterable[Package]) -> dict[Entry, Package]:
    """Return the wheels in a bundle that were built of locked sdists."""
    found = {}
    sdists = [each for each in packages if is_sdist(each)]
    for entry in listing.entries:
        wheel = entry.name.rpartition("/")[2]
        for sdist in sdists:
            if wheel.endswith(".whl") and entry.name == built_entry(sdist, wheel):
                found[entry] = sdist
    return found


def _require_wanted(
    listing: Listing, packages: Mapping[str, Package], built: Mapping[Entry, Package], path: Path
) -> None:
    """Return when a bundle holds what its locks name, each archive by its hash, and no more."""
    archives = {name: each.sha256 for name, each in packages.items()}
    held = {each.name: each.sha256 for each in listing.entries if not is_text(each.name)}
    for entry in built:
        del held[entry.name]
    missing = [each for each in archives if each not in held]
    missing += [
        f"a wheel of {each.name}"
        for each in packages.values()
        if is_sdist(each) and each not in built.values()
    ]
    wrong = [f"{each} is missing" for each in missing]
    wrong += [f"{each} is not of its lock" for each in held if each not in archives]
    wrong += [
        f"{name} has another sha256 than the lock says"
        for name, sha256 in held.items()
        if archives.get(name, sha256) != sha256
    ]
    if wrong:
        raise IntegrityError(f"{path} is no bundle:\n  " + "\n  ".join(wrong[:_NAMED]), REMEDY)


def _keep_archives(reader: ArchiveReader, checked: _Checked, tools: PrefixTools, say: Say) -> None:
    """Put the archives of a bundle where a build looks for them.

    Raises:
        IntegrityError: the bundle was changed since it was checked.
    """
    if reader.listing != checked.listing:
        raise IntegrityError("The bundle was changed while it was read.", REMEDY)
    kept = {each.sha256: tools.linker(checked.lock).kept for each in checked.lock.conda}
    # No URL brings again what was built.
    pip = (*checked.lock.pip, *packages_of(checked.plugins.values()))
    kept |= {each.sha256: tools.files.downloads.kept for each in pip if not each.built}
    python = f"python{checked.lock.target.python}"
    for entry, chunks in reader.contents("unpacked", say):
        name = entry.name.rpartition("/")[2]
        if is_text(entry.name):
            _pass_over(chunks)
        else:
            _keep(entry, name, chunks, kept.get(entry.sha256, tools.files.downloads.own))
        if entry in checked.built:
            sdist = checked.built[entry]
            tools.files.direct_wheels.keep_built(sdist, python, entry.sha256, name)


def _keep(entry: Entry, name: str, chunks: Iterator[bytes], kept: KeptFiles) -> None:
    if kept.find(name, entry.sha256):
        _pass_over(chunks)
        return
    with kept.adding(name, entry.sha256) as part, part.open("wb") as file:
        file.writelines(chunks)


def _pass_over(chunks: Iterator[bytes]) -> None:
    for _ in chunks:
        pass


def _write_spec(place: Place, lock: Lock, project: Project, say: Say) -> None:
    """Write the files of the spec that are missing, and remember it where no policy lists it."""
    for path, content in place.missing.items():
        write_atomically(path, content)
        say(f"bundle: {path} is written")
    if place.is_unlisted:
        remember(
            project.documents,
            lock.target.environment,
            place.tools.project.environment(lock.target.environment),
        )
