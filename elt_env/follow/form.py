"""The forms in which a machine runs a release: a prefix, or an image."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from elt_env.errors import ProofError
from elt_env.follow.machine import Machine
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.release.record import Release
from elt_env.store.evidence import Evidence

Check = Literal["none", "quick", "full"]


@dataclass(frozen=True)
class Position:
    """What a follower runs, as it noted it.

    Attributes:
        source: where it was released.
        tag: of the pointer there, when it was read.
        number: of the release.
        digest: of its lock.
    """

    source: str
    tag: str
    number: int
    digest: str


class Form(Protocol):
    """How a release comes to a machine.

    Attributes:
        suffix: of the name of what a machine notes, since it may follow in both forms.
    """

    @property
    def suffix(self) -> str:
        """As in `.json`."""

    def stands(self, noted: Position, machine: Machine) -> bool:
        """Tell whether all of what was noted is still there."""

    def bring(self, release: Release, machine: Machine, say: Say) -> None:
        """Make a release here, prove it, and let the local name lead to it in one rename.

        Raises:
            IntegrityError: the lock or an archive was changed by hand.
            ProofError: a check failed here; the machine goes on running what it ran.
            NetworkError, StorageError, BusyError: the next call takes it up again.
        """

    def tidy(self, digest: str, machine: Machine, say: Say) -> None:
        """Remove what ran before the lock with that digest, where that needs no asking."""

    def place(self, machine: Machine) -> str:
        """Return where what this machine runs is, for a person."""


def require_passed(results: Iterable[Evidence], lock: Lock, say: Say) -> None:
    """Return when no check failed on this machine; what was not run is said.

    Raises:
        ProofError: one failed.
    """
    results = tuple(results)
    failed = [f"{each.check}: {each.detail}" for each in results if each.failed]
    if failed:
        name = lock.target.name
        raise ProofError(
            f"{name} with the lock {short(lock.digest)} does not hold on this machine:\n"
            + "\n".join(failed),
            f"This machine runs what it ran. See what is wrong: elt-env doctor {name}",
        )
    for each in results:
        if each.status == "not_run":
            say(f"follow: {each.check} was not run: {each.detail}", logging.WARNING)
