"""Reports: what each follower says of itself, one small document each in the store it follows."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from elt_env.runtime.input_files import read_stored_text
from elt_env.store.documents import Documents, record_bytes, record_names, write_record

State = Literal["runs", "waits", "failed", "trouble"]

_FOLDER = "followers"
_AT_ONCE = 32  # requests
_MOST_DETAIL, _MOST_NAME = 1000, 100  # characters; so a report has less than 2 KB
_MACHINE = Path("/etc/machine-id")  # machine-id(5)


@dataclass(frozen=True)
class Report:
    """What a follower came to with a release.

    Attributes:
        machine: its id, of which nobody learns that of the system.
        host: its name, for a person.
        number: of the release that it was about.
        state: `runs` it, proven; `waits` for its wave; `failed` where it does not hold there; or
            `trouble`, as of a network or a disk, of which nothing follows about the release.
        running: the number of the release that it runs; 0 for none.
        detail: what is wrong, or "".
        at: when, by its clock.
    """

    machine: str
    host: str
    number: int
    state: State
    running: int
    detail: str
    at: datetime


_report: TypeAdapter[Report] = TypeAdapter(Report)


def machine_id(named: str = "") -> str:
    """Return the id of this machine: of the name that it was given, else of the system's own id.

    It is a hash, as machine-id(5) wants it for whatever leaves the machine.
    """
    text = named
    if not text:
        try:
            text = read_stored_text(_MACHINE).strip()
        except (OSError, UnicodeDecodeError):
            text = ""
    return hashlib.sha256(f"elt-env {text or socket.gethostname()}".encode()).hexdigest()[:16]


def host_name() -> str:
    """Return the name of this machine, for a person."""
    return socket.gethostname()[:_MOST_NAME]


def write_report(target: str, report: Report, documents: Documents, own: Documents) -> bool:
    """Report to the store that is followed, unless that was the last report; return whether.

    Args:
        target: the name of what is followed.
        report: what is told.
        documents: those of the store that is followed.
        own: those of this machine, which remember what was told.

    Raises:
        StorageError: the store cannot be written.
    """
    report = replace(report, detail=report.detail[:_MOST_DETAIL])
    remembered = f"following/{target}.report.json"
    if _same(_read(own, remembered), report):
        return False
    write_record(documents, f"{_FOLDER}/{target}/{report.machine}.json", _report, report)
    own.write(remembered, record_bytes(_report, report))
    return True


def read_reports(
    target: str, documents: Documents, machines: Iterable[str] | None = None
) -> tuple[Report, ...]:
    """Return what the followers of a target reported; one that cannot be read is left out.

    Args:
        target: the name of what is followed.
        documents: those of the store that is followed.
        machines: whose; by default all.
    """
    names = known_machines(target, documents) if machines is None else tuple(machines)
    keys = [f"{_FOLDER}/{target}/{each}.json" for each in names]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(each for each in pool.map(lambda key: _read(documents, key), keys) if each)


def known_machines(target: str, documents: Documents) -> tuple[str, ...]:
    """Return the ids of the machines that have reported, sorted."""
    return record_names(documents, f"{_FOLDER}/{target}")


def forget(target: str, machine: str, documents: Documents) -> None:
    """Remove the report of a machine, which then counts no more."""
    documents.delete(f"{_FOLDER}/{target}/{machine}.json")


def _read(documents: Documents, key: str) -> Report | None:
    try:
        return _report.validate_json(documents.read(key))
    except (OSError, ValidationError):
        return None


def _same(one: Report | None, other: Report) -> bool:
    return one is not None and replace(one, at=other.at) == other
