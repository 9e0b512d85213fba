"""Promote: the release of a target moves to a lock that is proven; nothing is rebuilt."""

from __future__ import annotations

from elt_env.bundle.published import publish_bundle
from elt_env.environment.build import require_as_sealed, require_lock, require_prefix
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.image.push import push_release
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.proof.proof import Proof, examine, require_proven
from elt_env.release.locations import require_loadable
from elt_env.release.move import Mover, MoveResult, moving
from elt_env.release.record import Release, withdrawn


def promote(  # noqa: PLR0913  # target, tools and listener, and what the history tells
    target: Target,
    tools: PrefixTools,
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
        tools: whose project, store and archives are used.
        say: told of progress.
        digest: of the lock, by default the target's current one.
        unasked: no person wants it, so a lock that was rolled back from does not become it.
        trigger: why, in a line.
        by: what moves it, as in `elt-env promote`.

    Raises:
        ProofError: required evidence does not hold, or the policy's webserver cannot load it.
        IntegrityError: the prefix is not what it was when it was sealed.
        PolicyError, InputError, ToolError: a check, the lock or its prefix is not there.
        RegistryError, StorageError, BusyError: the same call can be made again.
    """
    project, store = tools.project, tools.store
    lock = store.read_lock(digest, target) if digest else require_lock(target, store)
    with moving("promote", target, project, store, say) as mover:
        before = mover.before
        if before and unasked and lock.digest in withdrawn(mover.history):
            return mover.stay(before, f"{short(lock.digest)} was rolled back from")
        proof = require_proven(
            examine(lock, project, store), project.environment(target.environment), store
        )
        prefix = require_prefix(lock, store, "promote")
        if before and _is_release(proof, before):
            require_as_sealed(prefix)
            mover.confirm(before, prefix)
            return mover.stay(before, "it is the release already")
        require_loadable(lock, prefix.path, project, say)
        for each in proof.aside:
            say(f"promote: does not apply: {each}")
        return MoveResult(_moved(mover, proof, prefix, tools, trigger=trigger, by=by), before)


def _moved(  # noqa: PLR0913  # what is released, and what the history tells
    mover: Mover, proof: Proof, prefix: Prefix, tools: PrefixTools, *, trigger: str, by: str
) -> Release:
    """Move the release to a lock; its bundle is published before, where the policy says so."""
    lock, project, store = prefix.lock, tools.project, tools.store
    environment = project.environment(lock.target.environment)
    if environment.publish_bundle:
        publish_bundle(lock, tools, mover.say)
    release = mover.prepare(
        prefix,
        proof.image_digest,
        proof.outcome,
        action="promoted",
        trigger=trigger,
        by=by,
        rollout=environment.rollout,
    )
    if push_release(lock, release.image, project, store, mover.say):
        require_as_sealed(prefix)
    mover.switch(release)
    return release


def _is_release(proof: Proof, release: Release) -> bool:
    """Return whether the release has that lock, and no image that is older than the lock's."""
    images = (None, release.image)
    return release.digest == proof.lock.digest and proof.image_digest in images
