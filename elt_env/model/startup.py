"""What runs whenever a Python of an environment starts, and is new there.

The interpreter's `site` module executes the lines of `.pth` files that import something, and then
imports `sitecustomize` and `usercustomize` (https://docs.python.org/3/library/site.html).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

CUSTOMIZE = ("sitecustomize", "usercustomize")
"""The modules that are imported at every start."""


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


def _name(path: str) -> str:
    """Return a path without what another minor of Python changes in it."""
    return re.sub(r"python3\.\d+/", "", path)
