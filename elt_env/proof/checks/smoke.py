"""Shared parts of the smoke checks: a scratch directory, a time limit, faults as findings."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elt_env.environment.prefix import Prefix
from elt_env.environment.scratch_dir import ScratchDir, scratch_dir
from elt_env.errors import IntegrityError, ProofError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.process import Completed, Say, end_of, keeping, run, unheard
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, concluded
from elt_env.proof.rows import Row, lock_rows
from elt_env.proof.smoke_projects import smoke_project

_LIMIT = 600.0
"""Seconds that one command of a smoke check may take, if the policy's tool-limit is not less."""

# A server of a check's own is reached without a proxy.
_LOOPBACK = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1,localhost")
_DETAIL = " - DEBUG - "  # Dagster's word for what is of no interest while all goes well


@dataclass(frozen=True)
class Bench:
    """Where and with what one smoke check works.

    Attributes:
        say: tells a person, and the log.
        note: tells the log alone.
        limit: seconds that one command may take.
    """

    prefix: Prefix
    tools: CheckTools
    place: ScratchDir
    say: Say
    note: Say
    limit: float

    @property
    def lock(self) -> Lock:
        """The lock of the prefix."""
        return self.prefix.lock

    def project(self, name: str) -> Path:
        """Return a copy of the smoke project of that name."""
        return self.place.copy_of(smoke_project(self.tools.project.root, name))

    def run(self, tool: str, *arguments: str | Path, variables: Mapping[str, str]) -> Completed:
        """Run a tool of the prefix, by its absolute path; its exit code is left to the caller.

        Raises:
            ToolError: the prefix has no such tool.
            TimeLimitError: it was still running at the limit.
        """
        return run(
            [self.prefix.path / "bin" / tool, *arguments],
            limit=self.limit,
            env=prefix_environment(self.prefix.path, extra=variables),
            cwd=self.place.path,
            say=lambda line: self._tell(f"{tool}: {line}"),
            merge=True,
        )

    def _tell(self, line: str) -> None:
        (self.note if _DETAIL in line else self.say)(line, logging.DEBUG)

    def run_probe(
        self, program: Path, *arguments: str | Path, variables: Mapping[str, str]
    ) -> Completed:
        """Run a program of this package with the prefix's interpreter, apart from all else.

        Raises:
            TimeLimitError: it was still running at the limit.
        """
        return run(
            [self.prefix.python, "-I", "-B", "-W", "ignore", program, *arguments],
            limit=self.limit,
            env=prefix_environment(self.prefix.path, extra=_LOOPBACK | dict(variables)),
            cwd=self.place.path,
            say=self.note,
        )

    def rows(self) -> tuple[Row, ...]:
        """Return the rows of the lock, of the target's lock before it, and of its evidence."""
        store = self.tools.store
        return lock_rows(self.lock, self._previous(), store.evidence(self.lock.digest))

    def _previous(self) -> Lock | None:
        """Return the current lock when this one is not, else the one before; None without."""
        store, target = self.tools.store, self.lock.target
        try:
            pointer = store.pointer(target)
            if pointer is None:
                return None
            is_current = pointer.current == self.lock.digest
            digest = pointer.previous if is_current else pointer.current
            return store.read_lock(digest, target) if digest else None
        except IntegrityError as error:
            # That an old lock is gone says nothing about this one.
            self.say(f"compared with no lock: {error.problem}")
            return None


@dataclass(frozen=True)
class Needs:
    """What a smoke check cannot do without.

    Attributes:
        projects: the smoke projects that are run.
        distributions: what the lock must hold.
    """

    projects: tuple[str, ...]
    distributions: tuple[str, ...]

    def missing(self, lock: Lock) -> str:
        """Return in a sentence what is not there, or ""."""
        for name in self.distributions:
            if name not in lock.distributions:
                return f"{lock.target.name} has no {name}, so there is nothing to run."
        return ""


def conduct(
    body: Callable[[Bench], Finding], needs: Needs, prefix: Prefix, tools: CheckTools, say: Say
) -> Finding:
    """Return what the body finds at a bench of its own; the bench is kept unless it passed.

    A tool that fails, hangs or is missing is a failed check, not an error. Without what it needs
    the check is `not_run`.

    Raises:
        NetworkError: the package index does not answer.
        StorageError: the disk is full or not writable.
    """
    reason = needs.missing(prefix.lock)
    if reason:
        return Finding("not_run", reason)
    said: list[str] = []

    tell, note = keeping(said, say), keeping(said, unheard)
    most = min(_LIMIT, tools.project.policy.tool_limit.total_seconds())
    with scratch_dir(tools.project.local_home, prefix.lock.digest) as place:
        try:
            finding = body(Bench(prefix, tools, place, tell, note, most))
        except (ToolError, ProofError) as error:
            finding = Finding("failed", str(error))
        place.kept = finding.status == "failed"
    return concluded(finding, said, place)


def tried_parts(done: Completed) -> tuple[list[dict[str, Any]], list[str], str]:
    """Return what a probe that tries parts printed of each, what is wrong with some, and a log."""
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    faults = [f"{each['part']}: {each['fault']}" for each in shown if each["fault"]]
    log = "\n".join(f"{e['seconds']:8.2f} s  {e['part']}: {e['fault'] or e['note']}" for e in shown)
    return shown, faults, log


def broken_off(done: Completed) -> str:
    """Return how a probe ended before it had tried all parts."""
    end = end_of(done.stderr, 10)
    return f"the interpreter ended with exit code {done.returncode}: {end}"


def last_words(done: Completed) -> str:
    """Return the end of what a tool printed."""
    return end_of(done.stdout.strip(), 20)
