"""A release: a lock that was promoted, or gone back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Literal

from elt_env.store.evidence import Status

Action = Literal["promoted", "rolled back"]


@dataclass(frozen=True)
class Release:
    """One move of a target's release pointer.

    Attributes:
        number: 1 for the target's first release, and one more for each after it.
        target: as in `elt@3.11`.
        digest: the lock's.
        image: digest of the lock's image; None when there was none.
        at: when it became the release, UTC.
        action: whether it was proven and promoted, or is one from before.
        trigger: why, in a line, as in `dagster 1.13.27 → 1.13.28`.
        by: what moved it, as in `job elt_build, run 3f2a…` or `elt-env promote`.
        evidence: the required checks, and what each had said when it moved.
        rollout: percent of the machines that follow, in each wave and all before it; () for all at
            once.
        repository: where its image was pushed to, as in `registry.example/team/elt`; or "".
    """

    number: int
    target: str
    digest: str
    image: str | None
    at: datetime
    action: Action
    trigger: str
    by: str
    evidence: Mapping[str, Status] = field(default_factory=dict, hash=False)
    rollout: tuple[int, ...] = ()
    repository: str = ""


def number_after(release: Release | None) -> int:
    """Return the number of the release after that one; None is what is before the first."""
    return release.number + 1 if release else 1


def release_before(history: Sequence[Release]) -> Release | None:
    """Return the newest release whose lock is not the current one's; None without.

    Args:
        history: of a target, oldest first; the last one is the current one.
    """
    others = [each for each in history if each.digest != history[-1].digest]
    return others[-1] if others else None


def withdrawn(history: Sequence[Release]) -> frozenset[str]:
    """Return the digests that were rolled back from, and not released again since."""
    found: set[str] = set()
    for before, each in pairwise(history):
        if each.action == "rolled back":
            found.add(before.digest)
        found.discard(each.digest)
    return frozenset(found)


def step_back(history: Sequence[Release]) -> Release | None:
    """Return what a roll back goes to; None when there was no other release.

    The newest one before the current that was not itself rolled back from, so that two steps back
    do not end where the first began; the newest other one where there is none of these.
    """
    gone = withdrawn(history)
    kept = [each for each in history[:-1] if each.digest not in gone]
    return release_before([*kept, *history[-1:]]) or release_before(history)


def to_keep(history: Sequence[Release], count: int) -> frozenset[str]:
    """Return the digests of the last `count` locks that were released, and of a roll back's next.

    At least the release itself is one of them.
    """
    seen = list(dict.fromkeys(each.digest for each in reversed(history)))
    back = step_back(history)
    return frozenset(seen[: max(count, 1)]) | ({back.digest} if back else frozenset())
