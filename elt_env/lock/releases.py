"""Judge the versions on a project's page: which of them could replace the locked one."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.version import Version

from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.lockfile.document import Package
from elt_env.package.cooldown import is_too_young
from elt_env.python.wheel_tags import tags_of
from elt_env.spec.markers import admits_python, applies


@dataclass(frozen=True)
class Rules:
    """What a release must fulfil to be used by a target.

    Attributes:
        spec: path of the spec, for messages.
        requirements: what the spec asks of pip (PEP 508), names normalized.
        python: the full version of the lock's Python, as in `3.11.7`.
        platform: the conda subdir, for messages.
        tags: the wheel tags that fit that Python on this machine (PEP 425).
        now: the moment of the look, UTC.
        cooldown: how old a file must be; 0 for none.
        not_held: normalized names that the cool-down does not hold back.
        undated: what the cool-down makes of files without an upload time.
        wheels_only: never an sdist, but for `allow_sdist`.
    """

    spec: str
    requirements: tuple[str, ...]
    python: str
    platform: str
    tags: frozenset[Tag]
    now: datetime
    cooldown: timedelta = timedelta(0)
    not_held: tuple[str, ...] = ()
    undated: Literal["hold", "take"] = "hold"
    wheels_only: bool = True
    allow_sdist: tuple[str, ...] = ()


@dataclass(frozen=True)
class News:
    """A version that is newer than the locked one.

    Attributes:
        name: the distribution's normalized name.
        locked: the version in the lock.
        version: the newer one.
        released_at: when its first file was uploaded, UTC; None where the index does not tell.
        usable: whether the rules let it be used; whether it fits the rest, the resolver decides.
        reason: why it cannot be used, as in `1.14.0rc1 is a pre-release`; "" when it can.
        eligible_at: when the cool-down lets it through, UTC, where nothing else holds it back.
    """

    name: str
    locked: str
    version: str
    released_at: datetime | None
    usable: bool
    reason: str = ""
    eligible_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.locked} → {self.version}"


def news(package: Package, page: ProjectPage, rules: Rules) -> tuple[News, ...]:
    """Return every version on the page that is newer than the locked one, newest first."""
    locked = Version(package.version)
    newer: dict[Version, list[IndexFile]] = {}
    for text in sorted(page.versions):
        version = _read(text)
        if version > locked:
            newer.setdefault(version, []).extend(page.of(text))
    return tuple(
        _judged(package, version, newer[version], rules) for version in sorted(newer, reverse=True)
    )


_read = functools.lru_cache(maxsize=65536)(Version)


def usable(found: Iterable[News]) -> tuple[News, ...]:
    """Return the news that may be used."""
    return tuple(each for each in found if each.usable)


def excluded_by_python(page: ProjectPage, python: str, only: str | None = None) -> tuple[str, ...]:
    """Return the versions none of whose files admits a full Python version by Requires-Python.

    Args:
        page: of the project.
        python: as in `3.11.7`.
        only: the one version to look at; None means all.
    """
    versions: dict[str, bool] = {}
    for file in page.files if only is None else page.of(str(Version(only))):
        versions[file.version] = versions.get(file.version, False) or admits_python(
            file.requires_python, python
        )
    return tuple(sorted((text for text, runs in versions.items() if not runs), key=Version))


def yanked(package: Package, page: ProjectPage) -> str | None:
    """Return why the locked file was yanked (PEP 592), "" without a reason; None when it was not.

    A file that the page does not list any more was not yanked but is `gone`.
    """
    file = _locked_file(package, page)
    return file.yanked if file else None


def gone(package: Package, page: ProjectPage | None) -> bool:
    """Tell whether the index offers the locked file no longer; `page` is None without a project."""
    return page is None or _locked_file(package, page) is None


def _locked_file(package: Package, page: ProjectPage) -> IndexFile | None:
    name = package.archive_name
    for files in (page.of(package.version), page.files):  # the former costs little, and mostly does
        for each in files:
            if each.file_name == name:
                return each
    return None


@dataclass(frozen=True)
class _Verdict:
    """What stopped a version or one of its files; no reason when nothing did.

    Attributes:
        passed: how many of the rules for files it passed.
    """

    reason: str = ""
    passed: int = 0
    eligible_at: datetime | None = None


def _judged(package: Package, version: Version, files: list[IndexFile], rules: Rules) -> News:
    verdict = _version_verdict(package, version, rules) or _best_verdict(files, package.name, rules)
    return News(
        name=package.name,
        locked=package.version,
        version=str(version),
        released_at=min((each.uploaded for each in files if each.uploaded), default=None),
        usable=not verdict.reason,
        reason=f"{version} {verdict.reason}" if verdict.reason else "",
        eligible_at=verdict.eligible_at,
    )


def _version_verdict(package: Package, version: Version, rules: Rules) -> _Verdict | None:
    """Return what stops a version whatever its files are, if anything does."""
    bound = _bound(package.name, rules)
    asked_for = bound.prereleases or Version(package.version).is_prerelease
    if version.is_prerelease and not asked_for:
        return _Verdict("is a pre-release")
    if not bound.contains(version, prereleases=True):
        return _Verdict(f"is outside {bound} of {rules.spec}")
    return None


def _bound(name: str, rules: Rules) -> SpecifierSet:
    """Return what the spec asks of a distribution under the lock's Python."""
    return _bound_in(name, rules.requirements, rules.python)


@functools.lru_cache(maxsize=1024)
def _bound_in(name: str, requirements: tuple[str, ...], python: str) -> SpecifierSet:
    bound = SpecifierSet()
    for line in requirements:
        if line.startswith(name):
            requirement = Requirement(line)
            if requirement.name == name and applies(requirement, python):
                bound &= requirement.specifier
    return bound


def _best_verdict(files: list[IndexFile], name: str, rules: Rules) -> _Verdict:
    """Return the verdict on the file that passes most rules; of equal ones, the first to be old."""
    verdicts = [_file_verdict(each, name, rules) for each in files]
    return max(verdicts, key=lambda each: (each.passed, -_seconds(each.eligible_at), each.reason))


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else math.inf


def _file_verdict(file: IndexFile, name: str, rules: Rules) -> _Verdict:
    if file.yanked is not None:
        return _Verdict("was yanked" + (f": {file.yanked}" if file.yanked else ""), 0)
    if not admits_python(file.requires_python, rules.python):
        return _Verdict(f"needs Python {file.requires_python}", 1)
    if not _installs(file, name, rules):
        minor = rules.python.rpartition(".")[0]
        return _Verdict(f"has no wheel for {rules.platform} and CPython {minor}", 2)
    if not rules.cooldown or name in rules.not_held:
        return _Verdict(passed=4)
    if file.uploaded is None:
        held = _Verdict("has no upload time, and the policy holds such files (undated-releases)", 3)
        return held if rules.undated == "hold" else _Verdict(passed=4)
    return _cooldown_verdict(file.uploaded, rules)


def _installs(file: IndexFile, name: str, rules: Rules) -> bool:
    if not file.is_wheel:
        return not rules.wheels_only or name in rules.allow_sdist
    return not tags_of(file.file_name).isdisjoint(rules.tags)


def _cooldown_verdict(uploaded: datetime, rules: Rules) -> _Verdict:
    eligible_at = uploaded + rules.cooldown
    if not is_too_young(uploaded, rules.now - rules.cooldown):
        return _Verdict(passed=4)
    when = eligible_at.astimezone(timezone.utc).date()
    return _Verdict(f"is {_age(rules.now - uploaded)} old; eligible on {when}", 3, eligible_at)


def _age(span: timedelta) -> str:
    days, hours = span.days, max(span // timedelta(hours=1), 0)
    count, unit = (days, "day") if days > 0 else (hours, "hour")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
