"""The workplace of a team's own check: a copy of its project, a time limit, secrets masked."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.environment.project_copy import ProjectFiles
from elt_env.environment.scratch_dir import ScratchDir, scratch_dir
from elt_env.errors import ProofError, TimeLimitError, ToolError
from elt_env.image.sandbox import Sandbox, find_sandbox
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.logins import completed
from elt_env.machine.process import Completed, Say, end_of, keeping
from elt_env.project.own_checks import OwnCheck
from elt_env.project.project import Project
from elt_env.project.settings import own_place
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, concluded
from elt_env.proof.checks.image_subject import ImageUnderTest, seen_in_image
from elt_env.proof.checks.own.advice import advice
from elt_env.proof.checks.own.runners import Start, changed, in_image, in_prefix, snapshot
from elt_env.runtime.masking import masking, spellings
from elt_env.store.evidence import Table

_LEFT_OUT = {"dbt": ("target", "logs"), "meltano": ()}
_LAST_LINES = 30
_NAMED = 5


@dataclass(frozen=True)
class OwnBench:
    """Where and with what one of a team's own checks works.

    Attributes:
        name: the check's.
        copy: the copy of its project, or an empty directory.
        project: where its tools are started: that, or a directory in it.
        place: the directory of this run, in which the copy lies.
        variables: those that are handed on.
        say: tells a person, and the log.
        until: when its time is up, on the monotonic clock.
        start: runs a command with the tools of the prefix or of the image.
        seen: returns a path as its commands see it.
        sandbox: what its commands run in; None for the prefix.
    """

    name: str
    check: OwnCheck
    copy: Path
    project: Path
    place: ScratchDir
    prefix: Prefix
    tools: CheckTools
    variables: Mapping[str, str] = field(repr=False)
    say: Say
    until: float
    start: Start
    seen: Callable[[str], str]
    sandbox: Sandbox | None = None

    @property
    def python(self) -> Path:
        """The interpreter of the prefix."""
        return self.prefix.python

    @property
    def lock(self) -> Lock:
        """The lock of the prefix."""
        return self.prefix.lock

    @property
    def left(self) -> float:
        """Seconds that it still has.

        Raises:
            TimeLimitError: none.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise _late(self.name, self.check, self.lock, "")
        return left

    def run(self, *command: str | Path, variables: Mapping[str, str] | None = None) -> Completed:
        """Run a command in the copy of the project; its exit code is left to the caller.

        A name without "/" is looked up in the prefix, or in the image.

        Raises:
            ToolError: there is no such program.
            TimeLimitError: it was still running at the limit.
        """
        extra = {**self.variables, **(variables or {})}
        try:
            return self.start(command, extra, self.project, self.left)
        except TimeLimitError as error:
            raise _late(self.name, self.check, self.lock, error.problem) from error

    def beside(self, key: str) -> Path | None:
        """Return a copy of the directory that another key than `project` names, or None.

        One that lies in the project is found in the copy of that.

        Raises:
            ToolError: it is too large, or cannot be read.
        """
        written = self.check.places.get(key)
        if written is None:
            return None
        root = self.tools.project.root
        source = own_place(root, written)
        project = own_place(root, self.check.places["project"])
        inside = self.copy / source.relative_to(project) if source.is_relative_to(project) else None
        if inside is not None and inside.is_dir():
            return inside
        return files_of(self.check, key, written, self.tools.project).copy_to(self.place.path / key)


@dataclass(frozen=True)
class Kind:
    """What checks of one kind have in common.

    Attributes:
        distribution: what the lock has to hold; "" where that is nothing.
        body: runs the project and judges its outcome.
    """

    distribution: str
    body: Callable[[OwnBench], Finding]

    def require(self, name: str, lock: Lock) -> None:
        """Return when the lock holds what the check `name` works with.

        Raises:
            ToolError: it does not.
        """
        if self.distribution and self.distribution not in lock.distributions:
            raise ToolError(
                f"The check '{name}' works with {self.distribution}, and {lock.target.name} has "
                "none.",
                f"Add {self.distribution} to the spec, or take {table_of(name, lock)} out.",
            )


def files_of(check: OwnCheck, key: str, written: str, project: Project) -> ProjectFiles:
    """Return what belongs to the directory that a key of a check names."""
    own = _LEFT_OUT.get(check.kind, ()) if key == "project" else ()
    place = own_place(project.root, written)
    return ProjectFiles(place, (*check.exclude, *own), (project.local_home,))


def conduct(  # noqa: PLR0913  # the three of every check, and which one it is
    prefix: Prefix,
    tools: CheckTools,
    say: Say,
    *,
    name: str,
    check: OwnCheck,
    kind: Kind,
    sandbox: Sandbox | None = None,
) -> Finding:
    """Return what a check of the policy finds with the tools of a prefix, or in a sandbox.

    Raises:
        ToolError: what it needs is not there: a tool of the lock, a variable, a project of a size
            that can be copied.
        StorageError: the disk is full or not writable.
    """
    kind.require(name, prefix.lock)
    until = time.monotonic() + check.limit.total_seconds()
    variables = _handed_on(name, check, prefix.lock)
    mask = masking(spellings(variables.values()))
    said: list[str] = []
    telling = keeping(said, say)

    def tell(line: str, level: int = logging.INFO, /) -> None:
        telling(mask(line), level)

    with scratch_dir(tools.project.local_home, prefix.lock.digest) as place:
        copy = _copied(check, tools.project, place)
        logins = completed(tools.files.indexes).secrets if check.kind == "meltano" else ()
        secrets = (*spellings(variables.values()), *logins)
        seen = str if sandbox is None else seen_in_image(prefix, tools.project.policy, place)
        if sandbox is None:
            start = in_prefix(prefix, place, tell, secrets)
        else:
            start = in_image(sandbox, place, tell, secrets, seen, variables)
        where = _start_in(copy, name, check, prefix.lock)
        bench = OwnBench(
            *(name, check, copy, where, place, prefix, tools, variables, tell, until, start, seen),
            sandbox=sandbox,
        )
        finding = _advised(bench, _guarded(bench, kind.body))
        # Where a secret was handed on, a file may hold it.
        place.kept = finding.status == "failed" and not variables
    return _masked(concluded(finding, said, place), mask)


def conduct_in_image(  # noqa: PLR0913  # as above
    image: ImageUnderTest,
    tools: CheckTools,
    say: Say,
    *,
    name: str,
    check: OwnCheck,
    kind: Kind,
) -> Finding:
    """Return the same with the tools of an image, as its user, with this machine's network.

    Raises:
        ToolError, StorageError: as for a prefix.
    """
    roots = ImageStore(tools.store).roots
    search = find_sandbox(image.layout, image.manifest, roots, say)
    if search.sandbox is None:
        return Finding("not_run", f"No sandbox works here:\n{search.reasons}")
    return conduct(
        image.prefix, tools, say, name=name, check=check, kind=kind, sandbox=search.sandbox
    )


def _handed_on(name: str, check: OwnCheck, lock: Lock) -> Mapping[str, str]:
    missing = [each for each in check.environment if each not in os.environ]
    if missing:
        word = "variables" if len(missing) > 1 else "variable"
        raise ToolError(
            f"The check '{name}' wants the {word} {', '.join(missing)}, not set here.",
            f"Set it where elt-env or Dagster is started, as in: export {missing[0]}=…; "
            f"or take it from `environment` in {table_of(name, lock)}.",
        )
    return {each: os.environ[each] for each in check.environment}


def table_of(name: str, lock: Lock) -> str:
    """Return where a check stands in the policy."""
    return f"[tool.elt-env.environments.{lock.target.environment}.checks.{name}]"


def _copied(check: OwnCheck, project: Project, place: ScratchDir) -> Path:
    written = check.places.get("project")
    if written is None:
        return place.directory("project")
    source = own_place(project.root, written)
    copy = place.path / "project" / (source.name or "project")
    return files_of(check, "project", written, project).copy_to(copy)


def _start_in(copy: Path, name: str, check: OwnCheck, lock: Lock) -> Path:
    """Return where the tools are started.

    Raises:
        ToolError: there is no such directory.
    """
    place = copy / (check.directory or ".")
    if not place.is_dir():
        raise ToolError(
            f"The check '{name}' is run in {check.directory}, and {check.places['project']} has no "
            "such directory.",
            f"Correct `directory` in {table_of(name, lock)}.",
        )
    return place


def _advised(bench: OwnBench, finding: Finding) -> Finding:
    """Return a failure with what mends it, where that shows."""
    if finding.status != "failed":
        return finding
    copy = Path(bench.seen(str(bench.copy)))
    table = table_of(bench.name, bench.lock)
    told = advice(finding.detail, copy, bench.check.environment, table)
    return replace(finding, detail="\n  -> ".join((finding.detail, *told)))


def _guarded(bench: OwnBench, body: Callable[[OwnBench], Finding]) -> Finding:
    """Return what the body finds, `failed` if it changed what it may only read."""
    written = bench.check.places.get("project")
    source = own_place(bench.tools.project.root, written) if written else None
    watched = [bench.prefix.path, *([source] if source else [])]
    before = [snapshot(each) for each in watched]
    finding = _attempt(bench, body)
    touched = [
        path
        for place, was in zip(watched, before, strict=True)
        for path in changed(was, snapshot(place))
        if _matters(path, bench)
    ]
    if not touched:
        return finding
    named = ", ".join(touched[:_NAMED]) + (", …" if len(touched) > _NAMED else "")
    mend = f"elt-env verify {bench.lock.target.name} --repair"
    in_prefix = any(each.startswith(f"{bench.prefix.path}/") for each in touched)
    remedy = (
        f"The prefix is not what was locked any more: {mend}"
        if in_prefix
        else (
            "Let it write into its own directory, a copy of the project, or into $TMPDIR; "
            "if somebody edited the project meanwhile, run it again."
        )
    )
    problem = f"While it ran, files were changed that it may only read: {named}"
    return replace(finding, status="failed", detail=f"{problem}\n  -> {remedy}\n{finding.detail}")


def _matters(path: str, bench: OwnBench) -> bool:
    """Tell whether somebody's change of a file is one that a check must not make."""
    home = f"{bench.tools.project.local_home}{os.sep}"
    own = f"{bench.prefix.path}{os.sep}"
    if path.startswith(own):
        return not os.path.basename(path).startswith(".")  # noqa: PTH119  # marks of this program
    return not path.startswith(home)


def _attempt(bench: OwnBench, body: Callable[[OwnBench], Finding]) -> Finding:
    try:
        return body(bench)
    except (ToolError, ProofError) as error:
        return Finding("failed", str(error))


def _late(name: str, check: OwnCheck, lock: Lock, problem: str) -> TimeLimitError:
    seconds = check.limit.total_seconds()
    _, _, words = problem.partition(". ")
    return TimeLimitError(
        f"The check '{name}' was ended at its limit of {seconds:g} s. {words}".rstrip(),
        f"If it was slow rather than stuck, raise `limit` in {table_of(name, lock)}.",
    )


def _masked(finding: Finding, mask: Callable[[str], str]) -> Finding:
    table = finding.table
    if table is not None:
        rows = tuple(
            tuple(mask(cell) if isinstance(cell, str) else cell for cell in row)
            for row in table.rows
        )
        table = Table(table.name, table.columns, rows)
    return replace(finding, detail=mask(finding.detail), log=mask(finding.log), table=table)


def last_words(done: Completed) -> str:
    """Return the end of what a tool printed."""
    return end_of(done.stdout.strip(), _LAST_LINES)
