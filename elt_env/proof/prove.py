"""Prove: checks on a prefix or an image, each leaving evidence under the lock's digest."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial

from elt_env.environment.build import require_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import BusyError, NetworkError, TimeLimitError, ToolError
from elt_env.image.store import ImageStore, require_image
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.project.own_checks import IN_IMAGE
from elt_env.proof.checks import CHECKS, HEALTH_CHECKS, SMOKE_CHECKS, Check, Finding
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import first
from elt_env.proof.checks.image import IMAGE_CHECKS, ImageUnderTest
from elt_env.proof.checks.inputs import NOT_LOCKED, check_inputs, plugin_inputs
from elt_env.proof.checks.plugins import put_back
from elt_env.proof.checks.registry import health_checks, image_checks
from elt_env.runtime.cancelling import ended_by
from elt_env.runtime.masking import hidden
from elt_env.store.evidence import Evidence
from elt_env.store.locks import log_key

__all__ = [
    "CHECKS",
    "HEALTH_CHECKS",
    "IMAGE_CHECKS",
    "SMOKE_CHECKS",
    "Check",
    "Finding",
    "Prover",
    "image_prover",
    "prefix_prover",
]

_AT_ONCE = 2
# These begin first, so that none of them is left alone at the end; `dbt_smoke` takes the rows that
# `meltano_smoke` has loaded.
_LONG = (
    *("dagster_smoke", "reproducible", "solver_differences", "console_scripts"),
    *("meltano_smoke", "dbt_smoke", "imports", "image_runs"),
)


def prefix_prover(lock: Lock, tools: CheckTools, say: Say, *, again: bool = False) -> Prover:
    """Return what runs the health checks on the lock's prefix.

    Raises:
        ToolError: the prefix is not there to be checked.
        PolicyError: what the evidence is to be signed with cannot be read.
    """
    tools.store.evidence_key()
    prefix = require_prefix(lock, tools.store, "check")
    checks = {
        name: partial(check, prefix)
        for name, check in health_checks(tools.project.environment(lock.target.environment)).items()
    }
    return Prover(checks, lock, tools, say, again)


def image_prover(lock: Lock, tools: CheckTools, say: Say, *, again: bool = False) -> Prover:
    """Return what runs the checks on the lock's image; what held for another does not count.

    Raises:
        ToolError: the image is not packed.
        PolicyError: what the evidence is to be signed with cannot be read.
    """
    tools.store.evidence_key()
    images = ImageStore(tools.store)
    image = require_image(lock, images)
    prefix = Prefix(tools.store.prefix_path(lock), lock)
    subject = ImageUnderTest(prefix, image.manifest, images.layout)
    checks = {
        name: partial(check, subject)
        for name, check in image_checks(tools.project.environment(lock.target.environment)).items()
    }
    return Prover(checks, lock, tools, say, again, image.digest)


@dataclass(frozen=True)
class Prover:
    """Runs checks on one subject and keeps what they find.

    Attributes:
        checks: by name, with their subject given; results come in this order.
        image: the digest of the image that is the subject; None for the prefix.
    """

    checks: Mapping[str, Callable[[CheckTools, Say], Finding]]
    lock: Lock
    tools: CheckTools
    say: Say
    again: bool
    image: str | None = None

    def results(self, names: Collection[str] | None = None) -> tuple[Evidence, ...]:
        """Return the evidence of all checks, or of those named, in their order, all recorded.

        A check that could not run leaves `not_run` with the reason, which never holds; the others
        go on. One that held before is not run again unless `again`, or unless what it reads beside
        the subject is not what it was then.

        Raises:
            StorageError: the evidence cannot be kept.
        """
        known = {each.check: each for each in self.results_as_known(names)}
        return tuple(known[name] for name in self.checks if name in known)

    def results_as_known(self, names: Collection[str] | None = None) -> Iterator[Evidence]:
        """Yield the evidence of all checks, or of those named, each as soon as it is recorded.

        Two run at a time. When the caller is interrupted, no check is begun, and what runs ends.

        Raises:
            StorageError: the evidence cannot be kept.
        """
        given_up = threading.Event()

        def attempt(name: str) -> Evidence:
            with ended_by(given_up):
                return self.attempt_safely(name)

        wanted = [name for name in self.checks if names is None or name in names]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                running = [pool.submit(attempt, name) for name in sorted(wanted, key=_turn)]
                for each in as_completed(running):
                    yield each.result()
            finally:
                # The interrupt of a person, or a full disk, ends it all.
                given_up.set()
                pool.shutdown(wait=True, cancel_futures=True)

    def attempt(self, name: str) -> Evidence:
        """Return the evidence of a check: what is known where that holds, else what it finds.

        Raises:
            EltEnvError: the check could not run.
        """
        inputs = check_inputs(name, self.lock, self.tools.project, self.tools.store)
        known = None if self.again else self._known(name)
        if known is not None:
            held = f"{name}: held for this {self._what} on {known.at:%Y-%m-%d %H:%M}"
            changed = known.changed_inputs(inputs)
            if not changed:
                self.say(f"{held}, not run again")
                return known
            self.say(f"{held}; changed since then: {', '.join(changed)}")
        self.say(f"{name}: checking")
        start = time.monotonic()
        finding = self.checks[name](self.tools, self.say)
        # What the check itself has locked is what it has read.
        read = plugin_inputs(name, self.lock, self.tools.project, self.tools.store)
        if finding.status == "failed" and inputs.get("plugins") == NOT_LOCKED:
            finding = self._with_plugins_of_before(name, finding)
        return self._kept(name, finding, time.monotonic() - start, {**inputs, **read})

    def _with_plugins_of_before(self, name: str, finding: Finding) -> Finding:
        """Let plugins that do not hold be locked as they were before they were locked anew."""
        changes = put_back(name.removesuffix(IN_IMAGE), self.tools.store, self.lock)
        if not changes:
            return finding
        told = "its plugins stay locked as they were before; it ran with"
        return replace(finding, detail=f"{finding.detail}\n{told}:\n{first(changes)}")

    def attempt_safely(self, name: str) -> Evidence:
        """Return the same; `failed` for a check that hangs, `not_run` for one that cannot run."""
        start = time.monotonic()
        try:
            return self.attempt(name)
        except TimeLimitError as error:
            finding = Finding("failed", error.problem, str(error))
        except (NetworkError, BusyError, ToolError) as error:
            finding = Finding("not_run", f"could not run: {error.problem}", str(error))
        inputs = check_inputs(name, self.lock, self.tools.project, self.tools.store)
        return self._kept(name, finding, time.monotonic() - start, inputs)

    @property
    def _what(self) -> str:
        return "image" if self.image else "lock"

    def _known(self, name: str) -> Evidence | None:
        for each in self.tools.store.evidence(self.lock.digest):
            if each.check == name and each.doubt:
                self.say(f"{name}: {each.doubt}")
            if each.check == name and each.holds and each.image == self.image:
                return each
        return None

    def _kept(
        self, name: str, finding: Finding, seconds: float, inputs: Mapping[str, str]
    ) -> Evidence:
        store = self.tools.store
        finding = replace(finding, detail=hidden(finding.detail), log=hidden(finding.log))
        log = (finding.log + "\n").encode()
        # A name of its own: until the new record is there, the one before goes with its log.
        key = log_key(self.lock.digest, f"{name}-{hashlib.sha256(log).hexdigest()[:12]}")
        store.documents.write(key, log)
        evidence = Evidence(
            check=name,
            status=finding.status,
            at=self.tools.store.now().replace(microsecond=0),
            seconds=math.ceil(seconds * 1000) / 1000,  # no check takes none
            detail=finding.detail,
            log=key,
            counts=finding.counts,
            table=finding.table,
            image=self.image,
            inputs=inputs,
        )
        store.record(self.lock.digest, evidence)
        self.say(f"{name}: {finding.status}: {finding.detail}")
        return evidence


def _turn(name: str) -> int:
    return _LONG.index(name) if name in _LONG else len(_LONG)
