"""Roll back: the release of a target moves to one from before, or to any that is proven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from elt_env.environment.build import changed_since_sealed, ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import InputError
from elt_env.image.push import push_release
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.proof.proof import examine, require_proven
from elt_env.release.move import MoveResult, moving
from elt_env.release.record import Release, step_back
from elt_env.release.repair import repair
from elt_env.release.verify import verify_prefix
from elt_env.store.evidence import Status
from elt_env.store.locks import Store


def roll_back(  # noqa: PLR0913  # target, tools and listener, and what the history tells
    target: Target,
    tools: PrefixTools,
    say: Say,
    *,
    to: str | None = None,
    trigger: str,
    by: str,
) -> MoveResult:
    """Make a release from before the release again; the target's current lock stays what it is.

    Its prefix is built from its lock where it was collected. The pointer moves first, and the
    registry's tag after it: a registry that is away holds nobody up.

    Args:
        target: whose release.
        tools: what its prefix is built with, where it was collected.
        say: told of progress.
        to: the digest of a lock that was released or is proven, or the start of one; by default
            the release before, see `elt_env.release.record.step_back`.
        trigger: why, in a line.
        by: what moves it, as in `elt-env rollback`.

    Raises:
        InputError: there is nothing to go back to, or no lock with that digest.
        ProofError: it was never released, and is not proven.
        IntegrityError: its lock is gone or was changed by hand, or its prefix changes meanwhile.
        RegistryError: the release has moved, but the registry's tag has not.
        NetworkError, StorageError, BusyError: the same call can be made again.
    """
    project, store = tools.project, tools.store
    with moving("rollback", target, project, store, say) as mover:
        digest = _destination(target, store, mover.history, to)
        then = next((each for each in reversed(mover.history) if each.digest == digest), None)
    lock = store.read_lock(digest, target)
    image, evidence = (then.image, then.evidence) if then else _proven(lock, project, store)
    prefix = _built(lock, tools, say)
    if then is None:
        _proven(lock, project, store)  # of what was just built, where it was not there
    with moving("rollback", target, project, store, say) as mover:
        before = mover.before
        if before and before.digest == digest:
            mover.confirm(before, prefix)
            return mover.stay(before, "it is the release already")
        release = mover.prepare(
            prefix, image, evidence, action="rolled back", trigger=trigger, by=by
        )
        mover.switch(release)
        push_release(lock, release.image, project, store, say)
    return MoveResult(release, before)


def _proven(lock: Lock, project: Project, store: Store) -> tuple[str | None, Mapping[str, Status]]:
    """Return the image and the evidence of a lock that was never released, if it is proven."""
    proof = require_proven(
        examine(lock, project, store), project.environment(lock.target.environment), store
    )
    return proof.image_digest, proof.outcome


def _destination(target: Target, store: Store, history: Sequence[Release], to: str | None) -> str:
    """Return the digest to go to."""
    if to is not None:
        return _matching(to, history, target, store)
    release = step_back(history) if history else None
    if release is None:
        known = "one release" if history else "no release yet"
        raise InputError(
            f"{target.name} has {known}, so there is nothing to go back to.",
            f"Name a proven lock: elt-env rollback {target.name} --to DIGEST",
        )
    return release.digest


def _matching(start: str, history: Sequence[Release], target: Target, store: Store) -> str:
    """Return the digest that `start` begins: a released one, or else that of any lock."""
    wanted = f"sha256:{start.removeprefix('sha256:')}"
    released = {each.digest for each in history}
    for digests in (released, store.lock_digests()):
        found = sorted(each for each in digests if each.startswith(wanted))
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"'{start}' stands for several locks: {', '.join(found)}.",
                "Write more of the digest.",
            )
    raise InputError(
        f"There is no lock whose digest starts with '{start}'.",
        f"Choose one: elt-env history {target.name}",
    )


def _built(lock: Lock, tools: PrefixTools, say: Say) -> Prefix:
    """Return the prefix of a lock, built again where it was collected, repaired where damaged."""
    prefix = Prefix(tools.store.prefix_path(lock), lock)
    if not prefix.ready:
        say(f"rollback: the prefix of {short(lock.digest)} is gone; building it from its lock")
    elif changed_since_sealed(prefix):
        say(f"rollback: the prefix of {short(lock.digest)} is damaged; mending it from its lock")
        repair(lock, verify_prefix(lock, tools.store, say), tools, say)
    ensure_prefix(lock, tools, say)
    return prefix
