"""`@EXPLICIT` files (CEP 23): URLs of conda packages, a line each."""

from __future__ import annotations

import re

from elt_env.lockfile.foreign.document import ForeignArchive, ForeignLock, Select
from elt_env.lockfile.foreign.fields import unusable

_MARK = "@EXPLICIT"
_LINE = re.compile(
    r"(?P<url>(?:https?|file)://[^\s#]+)"
    r"(?:#(?:sha256:(?P<sha256>[0-9a-f]{64})|(?:md5:)?(?P<md5>[0-9a-f]{32})))?"
)


def is_explicit(text: str) -> bool:
    """Tell whether a text has the line that makes it an explicit file."""
    return any(line.strip() == _MARK for line in text.splitlines())


def read(text: str, source: str) -> Select:
    """Return what gives the packages of an explicit file.

    Raises:
        InputError: a line of it is no URL of a package.
    """
    found, wrong = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#") or bare == _MARK:
            continue
        match = _LINE.fullmatch(bare)
        if match is None:
            wrong.append(f"line {number} is no URL of a package with its hash behind a #")
            continue
        found.append(ForeignArchive(match["url"], match["sha256"] or "", match["md5"] or ""))
    if wrong or not found:
        raise unusable(source, *(wrong or ["it names no package"]), what="an @EXPLICIT file")
    untold = sum(not (each.sha256 or each.md5) for each in found)
    told = f"{source} has no hash of {untold} packages; that of their channel is taken"
    lock = ForeignLock(source, conda=tuple(found), notes=(told,) if untold else ())
    return lambda _: lock
