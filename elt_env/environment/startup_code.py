"""Code that runs whenever a Python of an environment starts, and is new there.

The interpreter's `site` module executes the lines of `.pth` files that import something, and then
imports `sitecustomize` and `usercustomize` (https://docs.python.org/3/library/site.html).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from elt_env.lockfile.document import Manager, Package

CUSTOMIZE = ("sitecustomize", "usercustomize")
"""The modules that are imported at every start."""

_MODULE = rf"(?:{'|'.join(CUSTOMIZE)})(?:/__init__)?\.[^/]+"
_RUN = re.compile(
    r"lib(?:64)?/python3\.\d+/"
    rf"(?:site-packages/(?:[^/]+\.pth|{_MODULE})|(?:lib-dynload/)?{_MODULE})"
)
# A wheel's directory for another place than site-packages (binary distribution format, "Spread").
_SPREAD = re.compile(r"[^/]+\.data/(?P<scheme>[a-z]+)/(?P<path>.+)")


@dataclass(frozen=True, order=True)
class StartupFile:
    """A file that runs at every start, or decides what does.

    Attributes:
        package: whose it is; "" for nobody's.
        path: below the prefix.
        sha256: of its content.
    """

    package: str
    path: str
    sha256: str


@dataclass(frozen=True, order=True)
class StartupChange:
    """A file that runs at every start, and that was not there before, or not like this."""

    package: str
    path: str
    kind: Literal["new", "changed"]

    def __str__(self) -> str:
        whose = self.package or "no package"
        return f"{self.path} of {whose} runs at every start of Python, and is {self.kind}"


def startup_changes(
    before: Iterable[StartupFile], now: Iterable[StartupFile], among: Collection[str] | None = None
) -> tuple[StartupChange, ...]:
    """Return what runs at every start now and did not before, sorted.

    Args:
        before: the files of then.
        now: the files of now.
        among: the packages that may have something new; None for all.
    """
    old = {(each.package, _name(each.path)): each.sha256 for each in before}
    found = []
    for each in sorted(now):
        known = old.get((each.package, _name(each.path)))
        if known != each.sha256 and (among is None or each.package in among):
            found.append(StartupChange(each.package, each.path, "changed" if known else "new"))
    return tuple(found)


def in_archive(package: Package, files: Mapping[str, str], python: str) -> Iterator[StartupFile]:
    """Yield what of an archive runs at every start once it is installed.

    Args:
        package: whose archive it is.
        files: by path in the archive, something that differs when the content does.
        python: the minor of Python that it is installed for.

    What a `.pth` file adds to `sys.path` is not seen: its lines are not read.
    """
    for path, content in sorted(files.items()):
        place = _installed_at(path, package.manager, python)
        if _RUN.fullmatch(place):
            yield StartupFile(package.name, place, content)


def _installed_at(path: str, manager: Manager, python: str) -> str:
    """Return where a file of an archive comes, below the prefix."""
    site = f"lib/python{python}/site-packages/"
    if manager == "conda":  # a noarch package names no Python
        return re.sub("^site-packages/", site, path)
    spread = _SPREAD.fullmatch(path)
    if spread is None:
        return site + path
    places = {"purelib": site, "platlib": site, "data": ""}
    return places.get(spread["scheme"], f"{spread['scheme']}/") + spread["path"]


def _name(path: str) -> str:
    """Return a path without what another minor of Python changes in it."""
    return re.sub(r"python3\.\d+/", "", path)
