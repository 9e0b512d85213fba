"""Verify: whether a lock, its prefix and its image are as they were made, file by file."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from elt_env.environment.build import require_lock
from elt_env.environment.damage import Damage
from elt_env.environment.file_list import compare, kept_list, list_path
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.image.verify import image_damages
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.release.store import ReleaseStore
from elt_env.runtime.texts import first_of
from elt_env.store.locks import Store


def locks_of(target: Target, store: Store) -> tuple[Lock, ...]:
    """Return the target's released lock, if there is one, and its current lock, if it is another.

    What was derived from a lock, and can be derived again, may be damaged.

    Raises:
        InputError: it has neither.
        IntegrityError: a lock itself cannot be read, or the link to the release leads elsewhere.
    """
    releases = ReleaseStore(store)
    releases.require_led(target.name)
    release = releases.current(target.name)
    released = (store.read_manifest(release.digest, target),) if release else ()
    pointer = store.pointer(target)
    if pointer is None:
        return released or (require_lock(target, store),)
    if release is not None and pointer.current == release.digest:
        return released
    return (*released, store.read_manifest(pointer.current, target))


def verify(lock: Lock, store: Store, say: Say) -> tuple[Damage, ...]:
    """Return what of a lock, its prefix, its image and its entry points is not as it was made.

    Every file is read. A prefix or an image that was never made is no damage, unless the lock is
    the release. Other bytecode than was sealed is told, and is no fault. Nothing is changed.
    """
    damages = [Damage("lock", *each) for each in store.damaged_files(lock).items()]
    damages += verify_prefix(lock, store, say)
    damages += _entry_point_damages(lock, store)
    damages += image_damages(lock, store, say)
    return tuple(damages)


def verify_prefix(lock: Lock, store: Store, say: Say) -> tuple[Damage, ...]:
    """Return the same of the lock's prefix alone."""
    return tuple(_prefix_damages(lock, store, say))


def _entry_point_damages(lock: Lock, store: Store) -> tuple[Damage, ...]:
    releases = ReleaseStore(store)
    release = releases.current(lock.target.name)
    prefix = Prefix(store.prefix_path(lock), lock)
    if release is None or release.digest != lock.digest or not prefix.ready:
        return ()
    return releases.damages(release, prefix.path)


def _prefix_damages(lock: Lock, store: Store, say: Say) -> Iterator[Damage]:
    prefix = Prefix(store.prefix_path(lock), lock)
    prefix.mark_used()
    if not prefix.ready:
        release = ReleaseStore(store).current(lock.target.name)
        if release is not None and release.digest == lock.digest:
            if prefix.base_fault:
                say(f"verify: {prefix.path}: {prefix.base_fault}", logging.WARNING)
            yield Damage("prefix", "", "is not built")
        else:
            say(f"verify: {prefix.path} is not built, so there is nothing to compare")
        return
    sealed = kept_list(prefix.path)
    if sealed is None:
        yield Damage("prefix", list_path(prefix.path).name, "is gone")
        return
    say(f"verify: reading {len(sealed.files)} files of {prefix.path}")
    found = compare(prefix.path, sealed)
    derived = sum(not each.is_fault for each in found)
    if derived:
        say(
            f"verify: {derived} files of bytecode are not those that were sealed; "
            "that is no fault, and --repair compiles them again"
        )
    yield from found


def require_whole(lock: Lock, damages: tuple[Damage, ...]) -> None:
    """Return when there is no damage but of bytecode.

    Raises:
        IntegrityError: there is; the first are named.
    """
    faults = [each for each in damages if each.is_fault]
    if not faults:
        return
    shown = first_of(faults, _SHOWN, "\n  ")
    raise IntegrityError(
        f"{lock.target.name} with the lock {lock.digest} is not as it was made:\n  {shown}",
        f"Mend it: elt-env verify {lock.target.name} --repair",
    )


_SHOWN = 20
