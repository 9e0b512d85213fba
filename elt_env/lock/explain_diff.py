"""Explain: why one lock differs from another, by the locks, their indexes and their channels."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from elt_env.conda import ChannelReader
from elt_env.environment.declared import installed_project_urls
from elt_env.environment.prefix import Prefix
from elt_env.environment.startup import new_startup, startup_in_archives
from elt_env.errors import EltEnvError, NetworkError, StorageError, ToolError
from elt_env.index.project_page import ProjectPage
from elt_env.lock.diff_facts import changelog, offered_versions, skipped
from elt_env.lock.diff_report import (
    DiffReport,
    ExplainedChange,
    Waiting,
    explained,
    parse,
    to_json,
    with_yanks,
)
from elt_env.lock.held import asked_of, held_by_cooldown
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.origins import source_changes
from elt_env.lock.releases import yanked
from elt_env.lockfile.changes import Change, compare
from elt_env.lockfile.document import Lock, Manager, Package
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say
from elt_env.runtime.texts import one_line
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.index.package_index import PackageIndex

_UNANSWERED = (NetworkError, StorageError, ToolError)
_A_WHILE = 600.0  # seconds for which what an index said in this run is taken for today's
_Key = tuple[Manager, str]


@dataclass(frozen=True)
class _Facts:
    """What others told about packages; empty where nobody was asked.

    Attributes:
        pages: of pip's packages, by name; None where the index did not answer.
        versions: what is offered of a package, by manager and name.
        notes: who did not answer.
    """

    pages: Mapping[str, ProjectPage] | None = field(default_factory=dict)
    versions: Mapping[_Key, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def explain(old: Lock | None, new: Lock, tools: LockTools, say: Say) -> DiffReport:
    """Return what changed from one lock to another, and what there is to know about it.

    Only changed packages are asked about, and nobody is for a first lock. Where an index or a
    channel does not answer, the report says so and carries what the locks tell.
    """
    changes = compare(old, new)
    facts = (
        _ask(changes, _indexes(changes), new, tools.conda, tools.package_index) if old else _Facts()
    )
    return _report(old, new, changes, facts, tools, say)


def with_startup(report: DiffReport, old: Lock | None, new: Lock, store: Store) -> DiffReport:
    """Return a report that says what newly runs at every start.

    Where the new lock is built, as it is installed; else as the archives told.
    """
    found = new_startup(old, new, store)
    return report if found is None else replace(report, startup=found)


def explain_relock(old: Lock | None, new: Lock, tools: LockTools, say: Say) -> DiffReport:
    """Return what a new lock changed and what the cool-down holds back, and keep it in the store.

    What could not be found out is a note of the report; what could not be kept is a warning.
    """
    changes = compare(old, new)
    facts = _Facts()
    if old is not None:
        asked = asked_of(new) if tools.project.policy.cooldown else _indexes(changes)
        facts = _ask(changes, asked, new, tools.conda, tools.package_index)
    report = _report(old, new, changes, facts, tools, say)
    if old is not None:
        report = _with_held_back(report, facts, new, tools, say)
    if report.old != report.new:
        try:
            content = json.dumps(to_json(report), indent=1) + "\n"
            tools.store.documents.write(_key(report.old, report.new), content)
        except StorageError as error:
            say(f"the report of what changed cannot be kept: {error.problem}", logging.WARNING)
    return report


def _report(  # noqa: PLR0913, PLR0917  # what a report is made of
    old: Lock | None,
    new: Lock,
    changes: Sequence[Change],
    facts: _Facts,
    tools: LockTools,
    say: Say,
) -> DiffReport:
    links = _changelogs(changes, (old, new), facts, tools) if old else {}
    for note in facts.notes:
        say(note, logging.WARNING)
    found = [
        replace(
            _explained(each, new.locked_at, facts),
            changelog=links.get((each.manager, each.name)) if each.new else None,
        )
        for each in changes
    ]
    return DiffReport(
        target=new.target.name,
        old=old.digest if old else None,
        new=new.digest,
        at=new.locked_at,
        changes=tuple(found),
        notes=facts.notes,
        sources=source_changes(old, new),
        startup=startup_in_archives(old, new, tools.conda, tools.files, say),
    )


def read_report(store: Store, old: str | None, new: str) -> DiffReport | None:
    """Return the report that was kept when the lock `new` took the place of `old`, by digests.

    None where there is none, or none that can be read; `explain` makes it again from the locks.
    """
    try:
        return parse(store.documents.read(_key(old, new)))
    except (OSError, ValueError):
        return None


def _key(old: str | None, new: str) -> str:
    ends = (each.removeprefix("sha256:") if each else "none" for each in (old, new))
    return f"diffs/{'-'.join(ends)}.json"


def _indexes(changes: Sequence[Change]) -> dict[str, str]:
    """Return which index to ask about each of pip's packages that is newly locked."""
    found = [each.new for each in changes if each.new and each.new.manager == "pip"]
    return {each.name: each.index for each in found if each.index}


def _ask(
    changes: Sequence[Change],
    asked: Mapping[str, str],
    new: Lock,
    conda: ChannelReader,
    package_index: PackageIndex,
) -> _Facts:
    """Ask the indexes about these projects, and the channels about what changed."""
    notes = []
    pages: Mapping[str, ProjectPage] | None = None
    versions: dict[_Key, Sequence[str]] = {}
    try:
        pages = package_index.look(asked, max_age=_A_WHILE).pages if asked else {}
        changed = pages.keys() & {each.name for each in changes}
        versions |= {("pip", name): offered_versions(pages[name]) for name in changed}
    except _UNANSWERED as error:
        notes.append(_unanswered("The index", "skipped and yanked releases", error))
    try:
        versions |= _conda_versions(changes, new, conda)
    except _UNANSWERED as error:
        notes.append(_unanswered("The channel", "skipped releases of conda's packages", error))
    return _Facts(pages, versions, tuple(notes))


def _unanswered(who: str, what: str, error: EltEnvError) -> str:
    return f"{who} did not answer, so {what} are not known: {one_line(error.problem)}"


def _conda_versions(
    changes: Sequence[Change], new: Lock, conda: ChannelReader
) -> dict[_Key, Sequence[str]]:
    names = tuple(each.name for each in changes if each.manager == "conda" and each.level)
    if not names:
        return {}
    found = conda.releases(new.channels, names, new.target.platform)
    return {("conda", name): [each.version for each in found.get(name, ())] for name in names}


def _explained(change: Change, at: datetime, facts: _Facts) -> ExplainedChange:
    base = explained(change, at)
    old, new = change.old, change.new
    offered = facts.versions.get((change.manager, change.name))
    if new is None or offered is None:
        return base
    base = replace(base, skipped=skipped(offered, old.version, new.version) if old else ())
    page = (facts.pages or {}).get(change.name)
    return with_yanks(base, _yanked(old, page), _yanked(new, page))


def _yanked(package: Package | None, page: ProjectPage | None) -> str | None:
    if package is None or page is None or package.manager != "pip":
        return None
    reason = yanked(package, page)
    return None if reason is None else one_line(reason)


def _changelogs(
    changes: Sequence[Change], locks: Sequence[Lock | None], facts: _Facts, tools: LockTools
) -> dict[_Key, str]:
    """Return the addresses of changelogs, without a download of any package.

    They stand in the metadata of what is installed, by the new lock or by the old one, else in
    those beside a wheel on the index.
    """
    urls: dict[str, tuple[str, ...]] = {}
    for lock in locks:
        if lock is not None:
            urls |= installed_project_urls(Prefix(tools.store.prefix_path(lock), lock))
    packages = [each.new for each in changes if each.new is not None]
    urls |= _offered(
        [each for each in packages if each.manager == "pip" and each.name not in urls],
        facts.pages or {},
        tools.files.indexes,
    )
    links = {(each.manager, each.name): _link(each, urls) for each in packages}
    return {key: link for key, link in links.items() if link is not None}


def _offered(
    packages: Sequence[Package], pages: Mapping[str, ProjectPage], indexes: Indexes
) -> dict[str, tuple[str, ...]]:
    wheels = {
        file.url: package.name
        for package in packages
        if package.name in pages
        for file in pages[package.name].files
        if file.has_metadata and file.file_name == package.archive_name
    }
    if not wheels:
        return {}
    from elt_env.index.core_metadata import offered_project_urls  # slow to load

    found = offered_project_urls(wheels, indexes)
    return {wheels[url]: fields for url, fields in found.items()}


def _link(package: Package, urls: Mapping[str, tuple[str, ...]]) -> str | None:
    names = [package.name]
    if package.conda is not None:
        names = [name for name, _ in package.conda.distributions]
    found = (changelog(urls.get(name, ())) for name in names)
    return next((each for each in found if each is not None), None)


def _with_held_back(
    report: DiffReport, facts: _Facts, lock: Lock, tools: LockTools, say: Say
) -> DiffReport:
    if facts.pages is None:
        note = "What the cool-down holds back is not known for the same reason."
        return replace(report, notes=(*report.notes, note))
    try:
        held = held_by_cooldown(lock, tools, facts.pages)
    except _UNANSWERED as error:
        note = f"What the cool-down holds back is not known: {one_line(error.problem)}"
        say(note, logging.WARNING)
        return replace(report, notes=(*report.notes, note))
    waiting = (
        Waiting(
            name=each.name,
            manager=each.manager,
            locked=each.locked,
            newer=each.version,
            released_at=each.released_at,
            eligible_at=each.eligible_at,
        )
        for each in held
    )
    return replace(report, held_back=tuple(waiting))
