"""The Pythons that pip's packages support, as the indexes say (Requires-Python, PEP 503)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import Version

from elt_env.errors import IndexUnreachableError
from elt_env.index.project_page import ProjectPage
from elt_env.lock.diff_facts import one_line
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say

if TYPE_CHECKING:
    from elt_env.index.package_index import PackageIndex


def with_requires_python(
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
