"""Proof: whether the evidence on a lock is all that its release needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from elt_env.errors import PolicyError, ProofError
from elt_env.image.record import ImageRecord
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.proof.acceptance import to_mend, ways_to_accept
from elt_env.proof.checks import CHECKS
from elt_env.proof.checks.applies import lacking
from elt_env.proof.checks.inputs import check_inputs
from elt_env.proof.checks.registry import health_checks, image_checks, is_blocking
from elt_env.proof.gate import MissingEvidence, Requirement
from elt_env.store.evidence import Evidence, Status
from elt_env.store.locks import Store


@dataclass(frozen=True)
class Proof:
    """How far a lock is proven that may become the release.

    Attributes:
        image: what was packed for the lock.
        required: the checks that must hold.
        evidence: what the required checks have said, in their order.
        lacks: those that do not hold, and why.
        aside: the checks that do not apply to the lock, each with why.
    """

    lock: Lock
    image: ImageRecord | None
    required: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    lacks: tuple[MissingEvidence, ...]
    aside: tuple[str, ...]

    @property
    def image_digest(self) -> str | None:
        """The image's digest; None where none was packed."""
        return self.image.digest if self.image else None

    @property
    def outcome(self) -> dict[str, Status]:
        """What each required check has said, by name."""
        return {each.check: each.status for each in self.evidence}


def examine(lock: Lock, project: Project, store: Store) -> Proof:
    """Return how far a lock is proven; nothing is run.

    Required are the policy's `required-checks`; by default every blocking check that applies to
    the lock, those on images where there is an image or the policy pushes one.

    Raises:
        PolicyError: the policy names a check that there is none of, or its evidence-key cannot be
            read.
        IntegrityError: a record cannot be read.
    """
    policy = project.environment(lock.target.environment)
    image = ImageStore(store).image(lock.digest)
    aside = {name: lacking(name, lock) for name in CHECKS}
    on_image = tuple(image_checks(policy))
    default = [name for name in CHECKS if not aside[name]] + [*policy.checks]
    if image or policy.push:
        default += on_image
    default = [name for name in default if is_blocking(name, policy)]
    chosen = policy.required_checks
    required = tuple(default) if chosen is None else chosen
    for key in ("required_checks", "accept_not_run"):
        _require_known(key, policy, lock.target)
    store.evidence_key()
    evidence = {each.check: each for each in store.evidence(lock.digest)}
    requirement = Requirement(
        checks=required,
        may_not_run=policy.accept_not_run,
        image_checks=on_image,
        image=image.digest if image else None,
        inputs={name: check_inputs(name, lock, project, store) for name in required},
    )
    return Proof(
        lock=lock,
        image=image,
        required=required,
        evidence=tuple(evidence[name] for name in required if name in evidence),
        lacks=requirement.lacks(tuple(evidence.values())),
        aside=tuple(
            f"{name}: {lock.target.name} has no {', '.join(lacks)}"
            for name, lacks in aside.items()
            if lacks and name not in required
        ),
    )


def require_proven(proof: Proof, environment: EnvironmentPolicy, store: Store) -> Proof:
    """Return the proof in which every required check holds.

    Raises:
        ProofError: some do not; each is named, and what to do about it.
    """
    lacks = proof.lacks
    if lacks:
        lock = proof.lock
        listed = "\n".join(f"  {each}" for each in lacks)
        raise ProofError(
            f"{lock.target.name} with the lock {short(lock.digest)} is not proven, so it does not "
            f"become the release:\n{listed}",
            "\n     ".join(_remedies(proof, environment, store)),
        )
    return proof


def _remedies(proof: Proof, environment: EnvironmentPolicy, store: Store) -> list[str]:
    lacks, lock = proof.lacks, proof.lock
    name = lock.target.name
    pointer = store.pointer(lock.target)
    lines = []
    if pointer is None or pointer.current != lock.digest:
        place = store.lock_directory(lock.digest)
        lines.append(f"Make it the current lock: elt-env build {name} --lock {place}")
    if any(each.lack == "failed" for each in lacks):
        change = to_mend(proof.evidence, environment)
        lines.append(f"{change} and build again: elt-env build {name}")
        lines += ways_to_accept(proof.evidence, environment, lock)
    missing = [each.check for each in lacks if each.lack == "missing"]
    health = [each for each in missing if each in health_checks(environment)]
    if health:
        asked = " ".join(f"--check {each}" for each in health)
        lines.append(f"Run what is missing: elt-env doctor {name} {asked}")
    if len(health) < len(missing):
        lines.append(f"Pack and prove the image: elt-env image {name}")
    idle = ", ".join(f'"{each.check}"' for each in lacks if each.lack == "not_run")
    if idle:
        lines.append(
            f"Accept that it did not run, with accept-not-run = [{idle}] in "
            f"[tool.elt-env.environments.{lock.target.environment}], or mend what keeps it back."
        )
    return lines


def _require_known(key: str, policy: EnvironmentPolicy, target: Target) -> None:
    known = (*health_checks(policy), *image_checks(policy))
    unknown = [each for each in getattr(policy, key) or () if each not in known]
    if unknown:
        raise PolicyError(
            f"'{key.replace('_', '-')}' of the environment '{target.environment}' names "
            f"{_listed(unknown)}, and there is no such check.",
            f"Choose from: {', '.join(known)}",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{each}'" for each in names)
