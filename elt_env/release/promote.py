"""Promote: the release of a target moves to a lock that is proven; nothing is rebuilt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from elt_env.environment.build import require_as_sealed, require_lock, require_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.image.push import push_release
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.proof.proof import Proof, examine, require_proven
from elt_env.release.record import Release, number_after, withdrawn
from elt_env.release.store import ReleaseStore
from elt_env.toolbox import Toolbox


@dataclass(frozen=True)
class MoveResult:
    """A target's release, and whether it has just become that.

    Attributes:
        before: what was the release until now; None before the first.
        kept: why nothing was moved; "" when it was.
    """

    release: Release
    before: Release | None
    kept: str = ""


def promote(  # noqa: PLR0913  # target, tools and listener, and what the history tells
    target: Target,
    toolbox: Toolbox,
    say: Say,
    *,
    digest: str | None = None,
    unasked: bool = False,
    trigger: str,
    by: str,
) -> MoveResult:
    """Make a proven lock the release of its target.

    The registry's tag moves first, where the policy pushes images; if it cannot, nothing moves.

    Args:
        target: whose release.
        toolbox: of its environment.
        say: told of progress.
        digest: of the lock, by default the target's current one.
        unasked: no person wants it, so a lock that was rolled back from does not become it.
        trigger: why, in a line.
        by: what moves it, as in `elt-env promote`.

    Raises:
        ProofError: required evidence is missing or does not hold.
        IntegrityError: the prefix is not what it was when it was sealed.
        PolicyError: the policy names a check that there is none of.
        InputError, ToolError: there is no lock, or its prefix is not built.
        RegistryError, StorageError, BusyError: the same call can be made again.
    """
    lock = toolbox.store.read_lock(digest, target) if digest else require_lock(target, toolbox)
    with moving(target, toolbox, say) as (releases, history):
        before = history[-1] if history else None
        if before and unasked and lock.digest in withdrawn(history):
            return _kept(before, f"{short(lock.digest)} was rolled back from", say)
        proof = require_proven(examine(lock, toolbox), toolbox)
        prefix = require_prefix(lock, toolbox, "promote")
        if before and _is_release(proof, before):
            require_as_sealed(prefix)
            push_release(lock, before.image, toolbox, say)
            if releases.mend(before, prefix.path):
                say(f"promote: wrote the entry points of {target.name} again")
            return _kept(before, "it is that already", say)
        for each in proof.aside:
            say(f"promote: does not apply: {each}")
        release = Release(
            number=number_after(before),
            target=target.name,
            digest=lock.digest,
            image=proof.image_digest,
            at=toolbox.now().replace(microsecond=0),
            action="promoted",
            trigger=trigger,
            by=by,
            evidence=proof.outcome,
        )
        releases.prepare(release, prefix.path)
        say(f"promote: release {release.number} of {target.name} is prepared")
        require_as_sealed(prefix)
        if push_release(lock, release.image, toolbox, say):
            require_as_sealed(prefix)
        releases.switch(release)
    say(f"promote: {target.name} is now {lock.digest}, release {release.number}")
    return MoveResult(release, before)


def mend_entry_points(target: Target, toolbox: Toolbox, say: Say) -> None:
    """Write again what was changed or lost of the entry points of a target's release, if any.

    Raises:
        BusyError, StorageError: the next call takes it up again.
        IntegrityError: a record of the history, or the lock of the release, cannot be read.
    """
    with moving(target, toolbox, say) as (releases, history):
        if history:
            lock = toolbox.store.read_manifest(history[-1].digest, target)
            prefix = Prefix(toolbox.store.prefix_path(lock), lock)
            for each in releases.mend(history[-1], prefix.path) if prefix.ready else ():
                say(f"promote: wrote {each.path} of the release of {target.name} again")


def _kept(release: Release, why: str, say: Say) -> MoveResult:
    say(f"promote: {release.target} stays {short(release.digest)}: {why}")
    return MoveResult(release, release, why)


@contextmanager
def moving(
    target: Target, toolbox: Toolbox, say: Say
) -> Iterator[tuple[ReleaseStore, tuple[Release, ...]]]:
    """Yield the releases, and the target's history, which nobody else adds to meanwhile.

    A link to the release that is gone, or leads nowhere, is made again.

    Raises:
        BusyError: somebody else is at it for longer than the policy's `busy-limit`.
        IntegrityError: a record of the history cannot be read.
    """
    releases = ReleaseStore(toolbox.store.home)
    with releases.sole_mover(target.name, toolbox.policy.busy_limit.total_seconds()):
        try:
            history = releases.history(target.name)
        except IntegrityError:
            lost = releases.lead(target.name)
            if lost is None:
                raise
            say(f"WARNING: {lost}; it leads to the newest release again")
            history = releases.history(target.name)
        yield releases, history


def _is_release(proof: Proof, release: Release) -> bool:
    """Return whether the release has that lock, and no image that is older than the lock's."""
    return release.digest == proof.lock.digest and proof.image_digest in (
        None,
        release.image,
    )
