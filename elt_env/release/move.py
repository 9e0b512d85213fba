"""Move the release of a target, forwards or back: nothing is rebuilt, a pointer moves."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from elt_env.environment.build import require_as_sealed
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.image.push import push_release, repository_of
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.release.locations import reload_locations
from elt_env.release.record import Action, Release, number_after
from elt_env.release.store import ReleaseStore
from elt_env.store.evidence import Status
from elt_env.store.locks import Store


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


@dataclass(frozen=True)
class Mover:
    """Moves the release of a target, which nobody else moves meanwhile.

    Attributes:
        name: what moves it, for messages.
        history: the target's releases, oldest first.
    """

    name: str
    target: Target
    project: Project
    store: Store
    say: Say
    releases: ReleaseStore
    history: tuple[Release, ...]

    @property
    def before(self) -> Release | None:
        """The release until now; None before the first."""
        return self.history[-1] if self.history else None

    def prepare(  # noqa: PLR0913  # what a release records
        self,
        prefix: Prefix,
        image: str | None,
        evidence: Mapping[str, Status],
        *,
        action: Action,
        trigger: str,
        by: str,
        rollout: tuple[int, ...] = (),
    ) -> Release:
        """Write the release of a prefix, which is not yet the one of the target."""
        environment = self.project.environment(self.target.environment)
        release = Release(
            number=number_after(self.before),
            target=self.target.name,
            digest=prefix.lock.digest,
            image=image,
            at=self.store.now().replace(microsecond=0),
            action=action,
            trigger=trigger,
            by=by,
            evidence=evidence,
            rollout=rollout if self.before else (),
            repository=repository_of(self.target, environment) if image else "",
        )
        self.releases.prepare(release, prefix.path)
        self.say(f"{self.name}: release {release.number} of {self.target.name} is prepared")
        require_as_sealed(prefix)
        return release

    def switch(self, release: Release) -> None:
        """Make a prepared release the one of the target, and reload what runs on it."""
        self.releases.switch(release)
        name = self.target.name
        self.say(f"{self.name}: {name} is now {release.digest}, release {release.number}")
        reload_locations(self.target, self.project.environment(self.target.environment), self.say)

    def confirm(self, release: Release, prefix: Prefix) -> None:
        """Bring what belongs to the release into order: its image's tag and its entry points."""
        push_release(prefix.lock, release.image, self.project, self.store, self.say)
        if self.releases.mend(release, prefix.path):
            self.say(f"{self.name}: wrote the entry points of {self.target.name} again")

    def stay(self, release: Release, why: str) -> MoveResult:
        """Leave the release where it is."""
        self.say(f"{self.name}: {release.target} stays {short(release.digest)}: {why}")
        return MoveResult(release, release, why)


@contextmanager
def moving(name: str, target: Target, project: Project, store: Store, say: Say) -> Iterator[Mover]:
    """Yield what moves the release of a target, while nobody else does.

    A link to the release that is gone, or leads nowhere, is made again.

    Raises:
        BusyError: somebody else is at it for longer than the policy's `busy-limit`.
        IntegrityError: a record of the history cannot be read.
    """
    releases = ReleaseStore(store)
    with releases.sole_mover(target.name, project.policy.busy_limit.total_seconds()):
        try:
            history = releases.history(target.name)
        except IntegrityError:
            lost = releases.lead(target.name)
            if lost is None:
                raise
            say(f"{lost}; it leads to the newest release again", logging.WARNING)
            history = releases.history(target.name)
        yield Mover(name, target, project, store, say, releases, history)


def mend_entry_points(target: Target, project: Project, store: Store, say: Say) -> None:
    """Write again what was changed or lost of the entry points of a target's release, if any.

    Raises:
        BusyError, StorageError: the next call takes it up again.
        IntegrityError: a record of the history, or the lock of the release, cannot be read.
    """
    with moving("promote", target, project, store, say) as mover:
        release = mover.before
        if release:
            lock = store.read_manifest(release.digest, target)
            prefix = Prefix(store.prefix_path(lock), lock)
            for each in mover.releases.mend(release, prefix.path) if prefix.ready else ():
                say(f"promote: wrote {each.path} of the release of {target.name} again")
