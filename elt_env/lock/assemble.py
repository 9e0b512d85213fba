"""Assemble: the lock that an agreement of conda and pip makes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import Version

from elt_env.conda import Solver
from elt_env.errors import IndexUnreachableError
from elt_env.index.project_page import ProjectPage
from elt_env.lock.directs import locked_directs
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.negotiate import Agreement
from elt_env.lock.page_files import files_of
from elt_env.lock.places import declared_places
from elt_env.lock.request import LockRequest
from elt_env.lock.satisfaction import requirement_lines
from elt_env.lock.sources import require_sources
from elt_env.lockfile.document import Bound, HeldBack, Lock, Package
from elt_env.machine.process import Say
from elt_env.pip import Resolver
from elt_env.runtime.files import sha256_of
from elt_env.runtime.texts import one_line

if TYPE_CHECKING:
    from elt_env.index.download import Downloads
    from elt_env.index.package_index import PackageIndex


def assemble(question: LockRequest, agreement: Agreement, tools: LockTools, say: Say) -> Lock:
    """Return the lock that an agreement makes; nothing is written.

    Raises:
        SourceError: a package would come from elsewhere than before; see `require_sources`.
    """
    conda = agreement.conda
    mine = tuple(each for each in agreement.pip if each.name not in conda.owned)
    directs = locked_directs(question.directs, mine)
    named = {each.name for each in directs}
    others = tuple(each for each in mine if each.name not in named)
    files = files_of(others, agreement.request, agreement.pages, tools.resolver, say)
    found = (*directs, *(_hashed(each, tools.files.downloads) for each in files))
    pip = _with_requires_python(found, question.previous, agreement.pages, tools.package_index, say)
    lock = Lock(
        target=question.target,
        spec_digest=question.spec.digest,
        requirements=requirement_lines(question.spec),
        channels=conda.channels,
        channel_source=conda.source,
        indexes=tuple(sorted({each.index for each in mine if each.index})),
        exclude_newer=question.exclude_newer,
        locked_at=tools.store.now().replace(microsecond=0),
        tools=tool_versions(tools.conda, tools.resolver),
        negotiated=_negotiated(question, agreement),
        held_back=_held_back(question, agreement),
        places=declared_places(question.spec, tools.project.policy),
        packages=(*(() if question.spec.venv else _needed_by_pip(agreement)), *pip),
        variables=question.spec.variables,
        notes=script_notes(agreement.conda.packages),
        interpreter=conda.python if question.spec.venv else None,
    )
    return require_sources(lock, question, tools, say)


def tool_versions(conda: Solver, resolver: Resolver) -> tuple[tuple[str, str], ...]:
    """Return names and versions of the tools that make a lock, sorted."""
    return tuple(sorted((each.name, each.version()) for each in (conda, resolver)))


def script_notes(packages: Iterable[Package]) -> tuple[str, ...]:
    """Return what is to be said of the scripts of conda packages."""
    return tuple(
        f"{each.name} {each.version}: its script {script} is not run"
        for each in packages
        for script in (each.conda.scripts if each.conda else ())
    )


def _hashed(package: Package, downloads: Downloads) -> Package:
    """Return a package with its sha256, of the bytes themselves where no page tells it."""
    if package.sha256:
        return package
    path = downloads.fetch_new(package.url)
    return replace(package, sha256=sha256_of(path), size=path.stat().st_size)


def _negotiated(question: LockRequest, agreement: Agreement) -> tuple[Bound, ...]:
    """Return the bounds that conda was given, and those of a lock before that still explain it.

    Where a package was kept at its version there was nothing to negotiate again.
    """
    answer = agreement.conda
    versions = {(each.name, each.version) for each in answer.packages}
    kept = {
        each.name
        for each in question.keep_conda(answer.source)
        if (each.name, each.version) in versions
    }
    known = {each.name for each in answer.bounds}
    needy = {f"{each.name} {each.version}" for each in agreement.pip}
    before = question.previous.negotiated if question.previous else ()
    still = [
        each
        for each in before
        if each.name in kept - known and not needy.isdisjoint(each.required_by)
    ]
    return tuple(sorted((*answer.bounds, *still), key=lambda each: each.name))


def _held_back(question: LockRequest, agreement: Agreement) -> tuple[HeldBack, ...]:
    """Return what is held back now, and what a lock before held back and this one kept."""
    known = {each.name for each in agreement.held_back}
    kept = set(question.keep_pip) & {(each.name, each.version) for each in agreement.pip}
    before = question.previous.held_back if question.previous else ()
    still = [
        each for each in before if (each.name, each.version) in kept and each.name not in known
    ]
    return tuple(sorted((*agreement.held_back, *still), key=lambda each: each.name))


def _needed_by_pip(agreement: Agreement) -> tuple[Package, ...]:
    """Return conda's packages, those that pip's packages need marked with their names."""
    owned = agreement.conda.owned
    pip = {each.name for each in agreement.pip} - set(owned)
    packages = {each.name: each for each in agreement.conda.packages}
    for resolved in agreement.pip:
        if resolved.name in owned:
            package = packages[agreement.conda.owner(resolved.name).name]
            packages[package.name] = replace(
                package,
                requested=package.requested or resolved.requested,
                required_by=tuple(
                    sorted({*package.required_by, *(pip & set(resolved.required_by))})
                ),
            )
    return tuple(packages.values())


def _with_requires_python(
    packages: tuple[Package, ...],
    previous: Lock | None,
    pages: Mapping[str, ProjectPage],
    package_index: PackageIndex,
    say: Say,
) -> tuple[Package, ...]:
    """Return pip's packages with the Pythons they are for.

    What the previous lock says of the same file is taken from there, the rest from the pages of
    the indexes. Where an index does not answer, it stays unknown, and that is said: nothing that
    is installed depends on it.

    Args:
        packages: pip's packages.
        previous: the lock before.
        pages: those that were read already, by name.
        package_index: whose pages are asked.
        say: given what is not known.
    """
    known = {each.sha256: each.requires_python for each in previous.pip} if previous else {}
    asked = {
        each.name: each.index
        for each in packages
        if each.index and not known.get(each.sha256) and each.name not in pages
    }
    try:
        pages = {**pages, **(package_index.look(asked).pages if asked else {})}
    except IndexUnreachableError as error:
        say(
            f"which Pythons the packages are for is not known: {one_line(error.problem)}",
            logging.WARNING,
        )
    return tuple(
        replace(each, requires_python=known.get(each.sha256) or _said(each, pages.get(each.name)))
        for each in packages
    )


def _said(package: Package, page: ProjectPage | None) -> str | None:
    for file in page.of(str(Version(package.version))) if page else ():
        if file.file_name == package.archive_name:
            return file.requires_python
    return None
