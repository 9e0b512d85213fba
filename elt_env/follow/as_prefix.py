"""A release as a prefix, which is made from its lock, and the entry points that lead to it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from elt_env.bundle.published import take_bundle
from elt_env.environment.build import ensure_prefix, require_as_sealed
from elt_env.environment.collecting import remove_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError, NetworkError
from elt_env.follow.form import Check, Position, require_passed
from elt_env.follow.machine import Machine
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.machine.users import in_use
from elt_env.package.canonical import short
from elt_env.proof.checks import CHECKS
from elt_env.proof.prove import prefix_prover
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.release.verify import require_whole, verify_prefix
from elt_env.store.locks import Store

QUICK = ("pip_check", "mixed_managers", "native_libraries", "binary_abi")
"""The checks of another machine that take few seconds: what its own libraries may break."""

_GRACE = 60.0  # seconds, for what was just about to start


@dataclass(frozen=True)
class AsPrefix:
    """The form of a release that is a prefix.

    Attributes:
        check: what is proven before the entry points move.
    """

    check: Check = "quick"
    suffix: str = ".json"

    def stands(self, noted: Position, machine: Machine) -> bool:
        """Tell whether prefix and entry points of what was noted are there."""
        try:
            current = ReleaseStore(machine.own).current(machine.target.name)
            lock = machine.own.read_manifest(noted.digest, machine.target)
        except IntegrityError:
            return False
        prefix = Prefix(machine.own.prefix_path(lock), lock)
        prefix.mark_used()
        return current is not None and current.number == noted.number and prefix.ready

    def bring(self, release: Release, machine: Machine, say: Say) -> None:
        """Make the prefix, prove it, and let the entry points lead to it. Raises as `Form`."""
        lock = machine.fetched(release)
        machine = machine.for_lock(lock)
        prefix = _built(lock, machine, say)
        self._require_holding(prefix, machine, say)
        _switch(machine, release, prefix, say)

    def tidy(self, digest: str, machine: Machine, say: Say) -> None:
        """Remove what ran before, when nothing runs in it."""
        _collect_superseded(machine.own, digest, machine.target.name, say)

    def place(self, machine: Machine) -> str:
        """Return the directory with the programs of what this machine runs."""
        return str(ReleaseStore(machine.own).entry_points(machine.target.name))

    def _require_holding(self, prefix: Prefix, machine: Machine, say: Say) -> None:
        """Return when a prefix is as it was made, and works on this machine.

        Raises:
            IntegrityError: files of it were changed, or are gone.
            ProofError: a check failed.
        """
        lock, tools = prefix.lock, machine.tools
        if self.check == "none":
            return
        if self.check == "full":
            require_whole(lock, verify_prefix(lock, tools.store, say))
        else:
            require_as_sealed(prefix)
        names = CHECKS if self.check == "full" else QUICK
        require_passed(prefix_prover(lock, tools, say).results(names), lock, say)


def _built(lock: Lock, machine: Machine, say: Say) -> Prefix:
    """Return the prefix of a lock, built from the bundle in the source where no index answers."""
    try:
        path = ensure_prefix(lock, machine.tools, say).path
    except NetworkError as error:
        say(f"follow: {error.problem}", logging.WARNING)
        if not take_bundle(lock, machine.source, machine.tools, say):
            raise
        path = ensure_prefix(lock, machine.tools, say).path
    return Prefix(path, lock)


def _switch(machine: Machine, release: Release, prefix: Prefix, say: Say) -> None:
    """Let the entry points of this machine lead to a release, in one rename."""
    releases, name = ReleaseStore(machine.own), machine.target.name
    limit = machine.tools.project.policy.busy_limit.total_seconds()
    with releases.sole_mover(name, limit):
        machine.own.set_current(machine.target, release.digest, machine.own.now())
        if machine.released() == release.number:
            releases.mend(release, prefix.path)
        else:
            releases.prepare(release, prefix.path)
            releases.switch(release)
    say(f"follow: {name} is now {release.digest}, release {release.number}")


def _collect_superseded(store: Store, digest: str, name: str, say: Say) -> None:
    """Remove the prefixes of a target in which nothing runs, but for that of one lock.

    Raises:
        StorageError: one cannot be removed.
    """
    kept = f"{name}-{short(digest)}"
    prefixes = sorted((store.local_home / "prefixes").glob(f"{name}-*"))
    there = [each for each in prefixes if each.name != kept]
    if not there:
        return
    busy = in_use(there)
    for path in there:
        size = None if path in busy else remove_prefix(path, time.time() - _GRACE, dry_run=False)
        if size is not None:
            say(f"follow: {path.name} is removed, in which nothing runs any more: {size >> 20} MiB")
        elif path in busy:
            say(f"follow: {path.name} stays, since a process runs in it")
    releases = ReleaseStore(store)
    digests = {each.digest for each in releases.history(name)}
    left = {each.name for each in there if each.exists()} | {kept}
    releases.drop_launchers(name, {each for each in digests if f"{name}-{short(each)}" in left})
