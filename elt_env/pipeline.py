"""The story of a target: lock -> build -> prove -> pack -> promote, and who is told of it.

Commands, the steps of Dagster's assets and readiness go it here; the work is done in the rooms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from elt_env.environment.build import ensure_prefix, require_lock
from elt_env.errors import ProofError
from elt_env.image.ensure import ensure_image
from elt_env.image.interpreter import require_interpreter
from elt_env.image.pack import PackedImage, pack, prepare_base
from elt_env.image.store import ImageStore
from elt_env.lock.make import Locked
from elt_env.lockfile.changes import count
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.proof.acceptance import to_mend, ways_to_accept
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.registry import is_blocking
from elt_env.proof.proof import examine
from elt_env.proof.prove import image_prover, prefix_prover
from elt_env.release.move import MoveResult, mend_entry_points
from elt_env.release.notice import Outcome
from elt_env.release.notify import notify
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.runtime.cancelling import meanwhile
from elt_env.store.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A target on its way from a lock to a release.

    Attributes:
        tools: of its environment.
        say: told of progress.
        trigger: why it is on its way, in a line, for those who are told of outcomes; or "".
        run_id: of the Dagster run that takes it there, or "".
    """

    target: Target
    tools: CheckTools
    say: Say
    trigger: str = ""
    run_id: str = ""

    def tell(self, outcome: Outcome, detail: str, trigger: str = "") -> None:
        """Tell others of an outcome, where the policy says so; see `elt_env.release.notify`."""
        because = {"trigger": trigger or self.trigger, "run": self.run_id}
        notify(
            self.target,
            self.tools.project.policy,
            self.tools.store,
            self.say,
            outcome,
            detail,
            **because,
        )

    def tell_locked(self, locked: Locked) -> None:
        """Tell others of a lock that is new."""
        if not locked.kept:
            reasons = "; ".join(locked.reasons)
            self.tell("relocked", count(locked.changes), self.trigger or reasons)

    def tell_failed(self, results: Collection[Evidence]) -> None:
        """Tell others of the checks that failed, if any did."""
        lines = [f"{each.check}: {each.detail}" for each in results if each.failed]
        if lines:
            self.tell("failed", "\n".join(lines))

    def prove(
        self, lock: Lock, names: Collection[str] | None = None, *, again: bool = False
    ) -> tuple[Evidence, ...]:
        """Return the evidence of checks on the lock's prefix, which is built where it is not there.

        Raises: as `ensure_prefix` and `Prover.results`.
        """
        ensure_prefix(lock, self.tools, self.say)
        return prefix_prover(lock, self.tools, self.say, again=again).results(names)

    def preparing_base(self, lock: Lock) -> AbstractContextManager[None]:
        """Return a block meanwhile what a lock's image stands on is made, unless one was packed.

        It is kept for whoever packs the image, who is also told why it could not be made. No image
        is made or named.
        """
        tools = self.tools
        if ImageStore(tools.store).image(lock.digest, use=False):
            return contextlib.nullcontext()
        return meanwhile(partial(prepare_base, lock, tools.project, tools.store, self.say))

    def have_image(self, lock: Lock) -> None:
        """Return when what was made of a lock by another worker is here: its prefix, its image.

        Raises: as `ensure_prefix` and `ensure_image`.
        """
        ensure_prefix(lock, self.tools, self.say)
        ensure_image(lock, self.tools, self.say)

    def require_held(self, results: Sequence[Evidence], lock: Lock) -> None:
        """Return when no check failed that a release waits for; else tell others, and raise.

        Raises:
            ProofError: one of them failed.
        """
        policy = self.tools.project.environment(lock.target.environment)
        failed = [each for each in results if each.failed and is_blocking(each.check, policy)]
        if not failed:
            return
        self.tell_failed(failed)
        names = ", ".join(each.check for each in failed)
        change, ways = to_mend(failed, policy), ways_to_accept(failed, policy, lock)
        log = self.tools.store.documents.place(failed[0].log)
        raise ProofError(
            f"{lock.target.name} is built, but does not hold: {names}\n"
            + "\n".join(each.detail for each in failed),
            "\n     ".join([f"{change} and build again.", *ways, f"The log: {log}"]),
        )

    def pack(
        self, lock: Lock, *, refresh_base: bool = False, again: bool = False
    ) -> tuple[PackedImage, tuple[Evidence, ...]]:
        """Return the lock's image, packed where it is not there, and the evidence of its checks.

        Raises: as `ensure_prefix`, `elt_env.image.pack.pack` and `Prover.results`.
        """
        require_interpreter(lock, self.tools.project, self.tools.store)
        ensure_prefix(lock, self.tools, self.say)
        packed = pack(
            lock, self.tools.project, self.tools.store, self.say, refresh_base=refresh_base
        )
        return packed, image_prover(lock, self.tools, self.say, again=again).results()

    def promote(
        self, *, digest: str | None = None, unasked: bool = False, trigger: str, by: str
    ) -> MoveResult:
        """Make a proven lock the release, and tell others; see `elt_env.release.promote`."""
        why = {"trigger": trigger, "by": by}
        return self._told(
            promote(
                self.target,
                self.tools,
                self.say,
                digest=digest,
                unasked=unasked,
                **why,
            )
        )

    def promote_current(self, *, unasked: bool, trigger: str, by: str) -> MoveResult:
        """Make the current lock the release; where it is proven, its prefix is built if it has to.

        Raises: as `promote` and `ensure_prefix`.
        """
        lock = require_lock(self.target, self.tools.store)
        if not examine(lock, self.tools.project, self.tools.store).lacks:
            ensure_prefix(lock, self.tools, self.say)
        return self.promote(digest=lock.digest, unasked=unasked, trigger=trigger, by=by)

    def roll_back(self, *, to: str | None, trigger: str, by: str) -> MoveResult:
        """Make an earlier release the one again, and tell others; see `release.roll_back`."""
        return self._told(
            roll_back(self.target, self.tools, self.say, to=to, trigger=trigger, by=by)
        )

    def promote_built(self, lock: Lock, *, trigger: str, by: str) -> None:
        """Make a lock that was built the release where the policy promotes by itself.

        Where a person promotes, the entry points of the release that there is are kept whole.

        Raises: as `elt_env.release.promote.promote`.
        """
        if self.tools.project.environment(lock.target.environment).promote == "manual":
            mend_entry_points(self.target, self.tools.project, self.tools.store, self.say)
            self.say(f"promote: waits for a person: elt-env promote {self.target.name}")
        else:
            self.promote(digest=lock.digest, unasked=True, trigger=trigger, by=by)

    def _told(self, moved: MoveResult) -> MoveResult:
        release = moved.release
        if not moved.kept:
            detail = f"{release.action}: the lock {release.digest}"
            self.tell("promoted", detail, release.trigger)
        return moved
