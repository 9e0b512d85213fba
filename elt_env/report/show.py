"""Show: what is known about a target, read from the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.environment.prefix import Prefix
from elt_env.errors import InputError, PolicyError
from elt_env.image.store import ImageStore
from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Lock
from elt_env.package.platform import this_platform
from elt_env.package.target import Target, names_target, parse_target
from elt_env.python.interpreters import list_interpreters
from elt_env.release.store import ReleaseStore
from elt_env.report.summary import Summary
from elt_env.store.locks import Store, read_lock_directory

if TYPE_CHECKING:
    from elt_env.lock.lock_tools import LockTools


def show(target: Target, store: Store) -> Summary:
    """Return what is known about the target; nothing is built or asked of the network.

    Raises:
        IntegrityError: its lock was changed by hand, or a record of its releases cannot be read.
    """
    releases = ReleaseStore(store)
    released = Summary(
        target=target,
        release=releases.current(target.name),
        previous=releases.previous(target.name),
        entry_points=releases.entry_points(target.name),
    )
    lock = store.current_lock(target)
    if lock is None:
        return released
    prefix = Prefix(store.prefix_path(lock), lock)
    images = ImageStore(store)
    return replace(
        released,
        lock=lock,
        lock_path=store.lock_directory(lock.digest),
        prefix=prefix.path,
        ready=prefix.ready,
        made_for=prefix.made_for,
        base_fault=prefix.base_fault,
        evidence=store.evidence(lock.digest),
        image=images.image(lock.digest),
        layout=images.layout.path,
    )


def find_lock(text: str, store: Store) -> Lock:
    """Return the lock that a person means by a target, a digest or a directory.

    Raises:
        InputError: there is no such lock.
        IntegrityError: it was changed by hand.
    """
    if "@" in text and ("/" not in text or names_target(text)):
        target = parse_target(text, this_platform())
        lock = store.current_lock(target)
        if lock is None:
            raise InputError(
                f"There is no lock of {target.name} yet.", f"Make one: elt-env lock {target.name}"
            )
        return lock
    directory = Path(text)
    if (directory / lock_json.FILE_NAME).is_file():
        return read_lock_directory(directory, None)
    return store.read_lock(_by_digest(text, store), None)


def _by_digest(text: str, store: Store) -> str:
    start = text.removeprefix("sha256:")
    digests = store.lock_digests() if start else ()
    found = [each for each in digests if each.startswith(f"sha256:{start}")]
    if len(found) != 1:
        what = "is no target, digest or directory of a lock"
        raise InputError(
            f"'{text}' {'stands for several locks' if found else what}.",
            "Write a target (elt@3.11), the start of a digest, or a directory with a lock.json.",
        )
    return found[0]


def previous_lock(target: Target, store: Store) -> Lock | None:
    """Return the lock that the target had before its current one; None when there was none.

    Raises:
        IntegrityError: it was changed by hand.
    """
    pointer = store.pointer(target)
    if pointer is None or pointer.previous is None:
        return None
    return store.read_lock(pointer.previous, target)


def pick_python(environment: str, tools: LockTools) -> str:
    """Return the first Python of the policy that can be had here.

    From the spec's channels any can; where the host channel stands in for them, those that this
    machine has. The channels are asked only when the first one is not here.

    Raises:
        PolicyError: none of them can be had.
    """
    wanted = tools.project.environment(environment).pythons
    if tools.project.policy.channel_fallback == "none":
        return wanted[0]
    usable, refused = list_interpreters()
    here = {each.minor for each in usable}
    if wanted[0] in here or tools.conda.reachable(
        tools.channels.of(tools.project.spec(environment))
    ):
        return wanted[0]
    if not here.isdisjoint(wanted):
        return next(each for each in wanted if each in here)
    looked = "".join(f"\n  {each.executable}: {each.reason}" for each in refused)
    raise PolicyError(
        f"None of the Pythons {', '.join(wanted)} can be had: the conda channels do not answer, "
        f"and this machine has {', '.join(sorted(here)) or 'none that can be packed'}.{looked}",
        "Install one of them (pyenv, uv python install, python.org), or change 'pythons' in "
        f"[tool.elt-env.environments.{environment}].",
    )
