"""Locks, evidence and releases as rows: what the Meltano project carries and dbt reads.

One kind of row a `record`; the columns of each kind are described in the dbt project's sources.
Moments are UTC, written without an offset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from elt_env.lockfile.changes import Change, compare
from elt_env.lockfile.document import Lock, Package
from elt_env.store.evidence import Evidence

Row = dict[str, Any]
"""One row, of values that JSON can hold."""


def lock_rows(
    lock: Lock, previous: Lock | None = None, evidence: Iterable[Evidence] = ()
) -> tuple[Row, ...]:
    """Return the rows of a target's lock, of the lock before it, and of the checks on the lock.

    Their order is that of the locks' packages and, for evidence, of the checks' names: equal
    arguments give equal rows.
    """
    locks = [(lock, "current"), *([(previous, "previous")] if previous else [])]
    rows = [lock_row(each, role) for each, role in locks]
    rows += [package_row(package, each) for each, _ in locks for package in each.packages]
    rows += change_rows(previous, lock)
    rows += evidence_rows(evidence, lock)
    return tuple(rows)


def to_json_lines(rows: Iterable[Row]) -> str:
    """Return the rows as JSON lines (https://jsonlines.org), keys in their own order."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def lock_row(lock: Lock, role: str) -> Row:
    """Return the row of a lock; `role` is what it is to its target, as in `current`."""
    return {
        "record": "locks",
        "lock_digest": lock.digest,
        "target": lock.target.name,
        "role": role,
        "environment": lock.target.environment,
        "python": lock.target.python,
        "platform": lock.target.platform,
        "channel_source": lock.channel_source,
        "locked_at": moment_text(lock.locked_at),
        "exclude_newer": moment_text(lock.exclude_newer),
        "package_count": len(lock.packages),
    }


def package_row(package: Package, lock: Lock) -> Row:
    """Return the row of a package of that lock."""
    return {
        "record": "packages",
        "lock_digest": lock.digest,
        "target": lock.target.name,
        "manager": package.manager,
        "package": package.name,
        "version": package.version,
        "build": package.build,
        "url": package.url,
        "source": _source(package),
        "sha256": package.sha256,
        "size_bytes": package.size,
        "released_at": moment_text(package.released_at),
        "requested": package.requested,
        "required_by": list(package.required_by),
    }


def _source(package: Package) -> str | None:
    """Return the index, or the channel: a conda URL is channel, subdir and file name (CEP 15)."""
    if package.manager == "pip":
        return package.index or package.origin
    return package.url.rsplit("/", maxsplit=2)[0]


def change_rows(old: Lock | None, new: Lock) -> list[Row]:
    """Return a row for each package that differs between a lock and the one before it."""
    return [_change(each, old, new) for each in compare(old, new)]


def _change(change: Change, old: Lock | None, new: Lock) -> Row:
    return {
        "record": "lock_changes",
        "lock_digest": new.digest,
        "old_lock_digest": old.digest if old else None,
        "target": new.target.name,
        "package": change.name,
        "manager": change.manager,
        "change": change.kind,
        "old_version": change.old.version if change.old else None,
        "new_version": change.new.version if change.new else None,
    }


def evidence_rows(evidence: Iterable[Evidence], lock: Lock) -> list[Row]:
    """Return a row for each check on that lock, by the checks' names."""
    return [_evidence(each, lock) for each in sorted(evidence, key=lambda each: each.check)]


def _evidence(each: Evidence, lock: Lock) -> Row:
    return {
        "record": "evidence",
        "lock_digest": lock.digest,
        "target": lock.target.name,
        "check_name": each.check,
        "status": each.status,
        "checked_at": moment_text(each.at),
        "seconds": each.seconds,
        "detail": each.detail,
    }


def moment_text(moment: datetime | None) -> str | None:
    """Return a moment as dbt and DuckDB read it, in UTC; None for none."""
    if moment is None:
        return None
    utc = moment.astimezone(timezone.utc) if moment.tzinfo else moment
    return utc.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
