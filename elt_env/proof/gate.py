"""Find the required evidence that a lock lacks, or that does not hold, for its release."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from elt_env.store.evidence import Evidence

Lack = Literal["missing", "failed", "not_run"]


@dataclass(frozen=True)
class MissingEvidence:
    """A required check without evidence that holds.

    Attributes:
        lack: `missing` when it was never run for what is to be released.
        why: in a line, for a person.
    """

    check: str
    lack: Lack
    why: str

    def __str__(self) -> str:
        return f"{self.check} {self.why}"


@dataclass(frozen=True)
class Requirement:
    """What has to be proven.

    Attributes:
        checks: names of the checks that must hold.
        may_not_run: those of them that may say `not_run`.
        image_checks: the names that are about an image.
        image: digest of the image that these must be about.
        inputs: what each check would read today; evidence on other inputs is none.
    """

    checks: tuple[str, ...]
    may_not_run: tuple[str, ...] = ()
    image_checks: Collection[str] = ()
    image: str | None = None
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)

    def lacks(self, evidence: Sequence[Evidence]) -> tuple[MissingEvidence, ...]:
        """Return the checks that the evidence on a lock says too little of, as they are listed."""
        known = {each.check: each for each in evidence}
        found = (self._lack(name, known.get(name)) for name in self.checks)
        return tuple(each for each in found if each)

    def _lack(self, name: str, evidence: Evidence | None) -> MissingEvidence | None:
        if evidence is None or evidence.doubt:
            why = f"does not hold: {evidence.doubt}" if evidence else "was not run"
            return MissingEvidence(name, "missing", why)
        if name in self.image_checks and evidence.image != self.image:
            return MissingEvidence(
                name, "missing", "was not run on this image, but on one before it"
            )
        changed = evidence.changed_inputs(self.inputs.get(name, evidence.inputs))
        if changed:
            return MissingEvidence(name, "missing", f"was run before {', '.join(changed)} changed")
        first = evidence.detail.partition("\n")[0]
        if evidence.status == "not_run":
            accepted = name in self.may_not_run
            return None if accepted else MissingEvidence(name, "not_run", f"could not run: {first}")
        if not evidence.holds:
            return MissingEvidence(name, "failed", f"failed: {first}")
        return None
