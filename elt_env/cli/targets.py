"""Open a target by the name that a person writes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elt_env.environment.prefix import Prefix
from elt_env.errors import InputError, IntegrityError, PolicyError
from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.package.canonical import short
from elt_env.package.platform import this_platform
from elt_env.package.target import Target, parse_target
from elt_env.project.settings import open_project
from elt_env.project.spec_paths import environment_of, is_file
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store, no_lock, read_lock_directory
from elt_env.tools import Tools, open_tools

if TYPE_CHECKING:
    from elt_env.machine.process import Say


def open_target(name: str, *, foreign: bool = False) -> tuple[Target, Tools]:
    """Return the target that `name` means, with or without a Python, and its tools.

    The path of a spec stands for the environment that was made from it.

    Args:
        name: what a person wrote.
        foreign: whether it may be of another platform than this machine's.

    Raises:
        PolicyError: it names no target, or one of another platform where none may be.
    """
    project = open_project(with_policy=not is_file(name))
    if is_file(name):
        name = environment_of(Path(name), project)
    tools = open_tools(project, name.split("@", maxsplit=1)[0])
    target = parse_target(project.target_name(name), "")
    if target.is_foreign and not foreign:
        raise PolicyError(
            f"{target} is of another platform than this machine ({this_platform()}): it can be "
            "locked, shown, compared and exported here, and neither built nor run.",
            f"On a machine of that platform: elt-env build {target.short}",
        )
    return target_here(target.environment, target.python, target.platform), tools


def lock_in(directory: str, target: Target, store: Store, say: Say) -> Lock:
    """Return the lock in a directory, which is one of the target.

    Where the store has one of the same digest that one is returned: it holds the same, from the
    places that this project takes it from. Of any other, the places are said that are asked.

    Raises:
        InputError: there is none.
        IntegrityError: it is another target's, or was changed by hand.
    """
    in_bucket = store.digest_at(directory) if store.shared else None
    if in_bucket:
        return store.read_lock(in_bucket, target)
    if not Path(directory, lock_json.FILE_NAME).is_file():
        raise InputError(
            f"There is no {lock_json.FILE_NAME} in {directory}.",
            f"Name the directory of a lock, as elt-env show {target.name} --json tells it.",
        )
    from elt_env.lock.origins import hosts_of  # slow to load

    lock = read_lock_directory(Path(directory), target)
    with contextlib.suppress(IntegrityError):
        own = store.read_lock(lock.digest, target)
        say(f"lock: {short(lock.digest)} is in the store already, whose places are asked")
        return own
    say(f"lock: {short(lock.digest)} of {directory} is fetched from {', '.join(hosts_of(lock))}")
    return lock


def prefix_to_use(name: str) -> Prefix:
    """Return the prefix of a target's release; of its current lock before the first release.

    What derives from the lock is not looked at: nothing that is run reads it.

    Says so where the current lock is another than the released one.

    Raises:
        InputError: it is not built.
        IntegrityError: the record of the release, or its lock, cannot be read.
    """
    target, tools = open_target(name)
    store = tools.store
    release = ReleaseStore(store).current(target.name)
    pointer = store.pointer(target)
    if release is None:
        if pointer is None:
            raise no_lock(target)
        lock = store.read_manifest(pointer.current, target)
        return _built(lock, store, f"elt-env build {target.name}")
    if pointer is not None and pointer.current != release.digest:
        click.echo(
            f"elt-env: this is the release {short(release.digest)}; the current lock "
            f"{short(pointer.current)} is not released",
            err=True,
        )
    lock = store.read_manifest(release.digest, target)
    return _built(lock, store, f"elt-env rollback {target.name} --to {short(lock.digest)}")


def _built(lock: Lock, store: Store, remedy: str) -> Prefix:
    prefix = Prefix(store.prefix_path(lock), lock)
    if prefix.made_for:
        raise InputError(
            f"{prefix.path}, the prefix of {lock.target.name}, was built at {prefix.made_for}: its "
            "store was moved or copied, and it does not work here.",
            f"Build it again where it is now: {remedy}",
        )
    if not prefix.ready:
        state = (
            f"does not hold any more: {prefix.base_fault}" if prefix.base_fault else "is not built"
        )
        raise InputError(f"{lock.target.name} {state}.", f"Build it: {remedy}")
    return prefix
