"""What a lock is asked for: one question, answered by conda and pip together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from elt_env.model.lock import ChannelSource, Lock, Package
from elt_env.model.names import normalize
from elt_env.model.spec import Spec
from elt_env.model.target import Target
from elt_env.tools.toolbox import Toolbox


@dataclass(frozen=True)
class Question:
    """What to lock.

    Attributes:
        exclude_newer: releases after this moment are not considered; None takes all.
        previous: the lock to stay close to, if any.
        upgrade: names that may move away from `previous`; None means all may.
        reasons: why there is a question at all, for a person.
    """

    target: Target
    spec: Spec
    exclude_newer: datetime | None
    previous: Lock | None = None
    upgrade: tuple[str, ...] | None = ()
    reasons: tuple[str, ...] = ()

    def keep_conda(self, source: ChannelSource) -> tuple[Package, ...]:
        """Return the conda packages to prefer: those of the previous lock from the same source."""
        if self.previous is None or self.previous.channel_source != source:
            return ()
        return tuple(each for each in self.previous.conda if self._stays(each.name))

    @property
    def keep_pip(self) -> tuple[tuple[str, str], ...]:
        """The (name, version) pairs of the previous lock to prefer."""
        if self.previous is None:
            return ()
        return tuple(
            (each.name, each.version) for each in self.previous.pip if self._stays(each.name)
        )

    def _stays(self, name: str) -> bool:
        return self.upgrade is not None and normalize(name) not in self.upgrade


def ask(  # noqa: PLR0913  # one keyword for each part of a question
    target: Target,
    spec: Spec,
    toolbox: Toolbox,
    *,
    upgrade: tuple[str, ...] | None = (),
    previous: Lock | None = None,
    reasons: tuple[str, ...] = (),
) -> Question:
    """Return the question for `target` as of now, the policy's cool-down applied."""
    cooldown = toolbox.policy.cooldown
    return Question(
        target=target,
        spec=spec,
        exclude_newer=toolbox.now().replace(microsecond=0) - cooldown if cooldown else None,
        previous=previous,
        upgrade=upgrade if upgrade is None else tuple(normalize(each) for each in upgrade),
        reasons=reasons,
    )
