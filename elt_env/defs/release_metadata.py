"""Metadata that a release shows to a person."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from statistics import median

import dagster as dg

from elt_env.defs.metadata import Metadata, package_table, table
from elt_env.lock.diff_render import to_markdown
from elt_env.lock.diff_report import DiffReport, explained
from elt_env.lock.explain_diff import read_report
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.proof.proof import examine
from elt_env.release.history import Entry
from elt_env.release.log import release_log
from elt_env.release.move import MoveResult
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.report.summary import first_tool
from elt_env.store.locks import Store

_ROWS = 50
_USE = """\
```sh
{entry}/{tool} --version  # from anywhere, without activation; a switch disturbs nothing
elt-env run {name} -- {tool} --version
elt-env shell {name}
elt-env rollback {name}  # to the release before
```"""


def release_version(release: Release) -> str:
    """Return the data version of a release: its lock, and the image that was packed of it."""
    return f"{release.digest}+{release.image}" if release.image else release.digest


def release_metadata(moved: MoveResult, target: Target, project: Project, store: Store) -> Metadata:
    """Return what is in a release, what it changed, whether it is proven, and how to use it."""
    release = moved.release
    lock = store.read_lock(release.digest, target)
    entries = release_log(target, store)
    entry = ReleaseStore(store).entry_points(release.target)
    return {
        "digest": dg.MetadataValue.text(release.digest),
        "image": dg.MetadataValue.text(release.image or "none"),
        "release": dg.MetadataValue.int(release.number),
        "outcome": dg.MetadataValue.text(f"kept: {moved.kept}" if moved.kept else release.action),
        "why": dg.MetadataValue.text(f"{release.trigger}, by {release.by}"),
        "changes": dg.MetadataValue.md(_changes(entries[-1], lock, store)),
        "change_count": dg.MetadataValue.int(len(entries[-1].changes or ())),
        **_plotted(release, lock),
        "proven": _proof_table(lock, project, store),
        "packages": package_table(lock.packages),
        "how_to_use": dg.MetadataValue.md(_use(entry, lock)),
        "history": _history_table(entries),
        "path": dg.MetadataValue.path(entry),
    }


def _plotted(release: Release, lock: Lock) -> Metadata:
    """Return numbers that the web UI plots over the releases; ages are those at the release."""
    day, hour = timedelta(days=1), timedelta(hours=1)
    ages = [(release.at - each.released_at) / day for each in lock.packages if each.released_at]
    waited = max(release.at - lock.locked_at, timedelta())
    return {
        "package_count": dg.MetadataValue.int(len(lock.packages)),
        "not_newest": dg.MetadataValue.int(len(lock.held_back)),
        "hours_to_promote": dg.MetadataValue.float(round(waited / hour, 2)),
        **({"median_age_days": dg.MetadataValue.float(round(median(ages), 1))} if ages else {}),
    }


def _use(entry: Path, lock: Lock) -> str:
    return _USE.format(entry=entry, tool=first_tool(lock), name=lock.target.name)


def _changes(entry: Entry, lock: Lock, store: Store) -> str:
    """Return as Markdown what changed since the release before, with links to changelogs.

    Those are known where that was the lock before this one.
    """
    if entry.before is None or not entry.changes:
        return f"{entry.difference.capitalize()}."
    kept = read_report(store, entry.before.digest, lock.digest)
    if kept is not None:
        return to_markdown(kept)
    changes = tuple(explained(each, lock.locked_at) for each in entry.changes)
    report = DiffReport(
        target=lock.target.name,
        old=entry.before.digest,
        new=lock.digest,
        at=lock.locked_at,
        changes=changes,
    )
    return to_markdown(report)


def _proof_table(lock: Lock, project: Project, store: Store) -> dg.TableMetadataValue:
    rows = [
        (each.check, each.status, each.at.isoformat(), each.detail.partition("\n")[0])
        for each in examine(lock, project, store).evidence
    ]
    return table(("check", "status", "at", "detail"), rows)


def _history_table(entries: tuple[Entry, ...]) -> dg.TableMetadataValue:
    rows = [
        (
            *(each.release.number, each.release.at.isoformat(), each.release.action),
            *(short(each.release.digest), each.difference),
            *(each.release.trigger, each.release.by),
        )
        for each in reversed(entries[-_ROWS:])
    ]
    return table(("number", "at", "action", "lock", "changes", "why", "by"), rows)
