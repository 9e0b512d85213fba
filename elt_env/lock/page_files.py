"""The files of an answer, by the pages of the indexes that were read anyway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from packaging.pylock import Package as Files
from packaging.utils import canonicalize_name
from packaging.version import Version

from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.package.cooldown import is_too_young
from elt_env.pip import ResolveRequest
from elt_env.pip.locked_file import as_wheel, locked_file
from elt_env.pip.port import Resolved, Resolver
from elt_env.python.wheel_tags import tags_of, wheel_tags
from elt_env.spec.markers import admits_python


def files_of(
    resolved: tuple[Resolved, ...],
    request: ResolveRequest,
    pages: Mapping[str, ProjectPage],
    resolver: Resolver,
    say: Say,
) -> tuple[Package, ...]:
    """Return the one file of each distribution, sorted by name.

    The resolver is asked for those of which no page tells all that speaks for or against a file.

    Raises: as `Resolver.files`.
    """
    told = [
        locked_file(files, each, request.python)
        for each in resolved
        if (files := _files(each, request, pages.get(each.name)))
    ]
    names = {each.name for each in told}
    rest = tuple(each for each in resolved if each.name not in names)
    found = (*told, *(resolver.files(rest, request, say) if rest else ()))
    return tuple(sorted(found, key=lambda each: each.name))


def _files(each: Resolved, request: ResolveRequest, page: ProjectPage | None) -> Files | None:
    """Return the wheels of a distribution that may be locked; None where that is not plain."""
    special = {*request.allow_sdist, *request.no_binary, *dict(request.hashes)}
    if page is None or page.index != each.index or each.name in special:
        return None
    version, tags = Version(each.version), set(wheel_tags(request.python))
    wheels = [
        file
        for file in page.of(str(version))
        if file.is_wheel and not tags.isdisjoint(tags_of(file.file_name))
    ]
    limit = request.exclude_newer if each.name not in request.not_held else None
    if not all(_is_plain(file, request.python, limit) for file in wheels):
        return None
    old = [file for file in wheels if not _is_held(file, limit)]
    name = canonicalize_name(each.name)
    return Files(name=name, version=version, wheels=[*map(as_wheel, old)]) if old else None


def _is_plain(file: IndexFile, python: str, limit: datetime | None) -> bool:
    is_dated = limit is None or file.uploaded is not None
    runs = admits_python(file.requires_python, python)
    return bool(file.sha256) and file.yanked is None and is_dated and runs


def _is_held(file: IndexFile, limit: datetime | None) -> bool:
    return limit is not None and file.uploaded is not None and is_too_young(file.uploaded, limit)
