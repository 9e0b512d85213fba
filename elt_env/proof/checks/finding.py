"""Findings: the results of checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from elt_env.environment.prefix import Prefix
from elt_env.environment.scratch_dir import ScratchDir
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.runtime.texts import first_of
from elt_env.store.evidence import Status, Table

_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """What a check saw.

    Attributes:
        detail: for a person, in a line or few; the culprit first.
        log: everything it saw.
        counts: what it counted, by name, as in `loaded_rows`.
        table: what it saw row by row, if that is worth a table.
    """

    status: Status
    detail: str
    log: str = ""
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    table: Table | None = None


Check = Callable[[Prefix, CheckTools, Say], Finding]


def first(lines: Sequence[str], most: int = _NAMED) -> str:
    """Return the first few of many lines, and how many more there are."""
    return first_of(lines, most, "\n")


def concluded(finding: Finding, said: Sequence[str], place: ScratchDir) -> Finding:
    """Return a finding with what was said meanwhile in its log, and the directory that is kept."""
    kept = f"\nkept for a look: {place.path}" if place.kept else ""
    log = "\n".join(each for each in (finding.log, "\n".join(said)) if each)
    return replace(finding, detail=finding.detail + kept, log=log)


def judge(
    faults: Sequence[str], passed: str, *, notes: Sequence[str] = (), log: str = ""
) -> Finding:
    """Return `failed` with the faults, or `warned` with the notes, or else `passed`."""
    everything = "\n".join([*faults, *notes, *([log] if log else [])])
    if faults:
        return Finding("failed", first(faults), everything)
    if notes:
        return Finding("warned", f"{passed}; but:\n{first(notes)}", everything)
    return Finding("passed", passed, everything)
