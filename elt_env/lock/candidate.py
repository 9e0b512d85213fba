"""Candidate: the lock that would come next, made beside the current one."""

from __future__ import annotations

from dataclasses import dataclass

from elt_env.lock.assemble import assemble
from elt_env.lock.conflict import solved
from elt_env.lock.directs import prepare
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.made_from import MadeFrom
from elt_env.lock.make import Locked, examine
from elt_env.lock.negotiate import agree
from elt_env.lockfile.changes import Change, compare
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.target import Target


@dataclass(frozen=True)
class Candidate:
    """A lock in the store that is not the current one, but could be.

    Attributes:
        changes: what differs from the current lock.
    """

    lock: Lock
    changes: tuple[Change, ...]


def find_candidate(
    target: Target, tools: LockTools, say: Say, *, upgrade: tuple[str, ...] | None
) -> Candidate | None:
    """Solve and resolve anew beside the current lock, which stays the current one.

    Returned is the lock that came of it, which is then in the store; None when it would hold what
    the current lock holds. `upgrade` names the packages that may be upgraded; None means all.

    Raises: as `examine`, `solve` and `agree`; and StorageError when the store cannot be written.
    """
    found = examine(target, tools, say, upgrade=upgrade)
    if isinstance(found, Locked):
        return None
    question = prepare(found, tools.project, tools.files, say)
    made = MadeFrom(question, tools)
    if made.is_same:
        say("lock: nothing has changed of what the current lock was made from")
        return None
    agreement = agree(question, solved(question, tools, say, in_one_go=True), tools, say)
    lock = assemble(question, agreement, tools, say)
    made.remember(lock, agreement.pages)
    if question.previous is not None and question.previous.digest == lock.digest:
        return None
    tools.store.write_lock(lock)
    return Candidate(lock, compare(question.previous, lock))
