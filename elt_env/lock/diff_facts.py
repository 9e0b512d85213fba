"""Facts about a change of versions, from an index and a package's metadata."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from functools import cmp_to_key
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from elt_env.index.project_page import ProjectPage
from elt_env.lockfile.changes import is_older

_LONGEST = 200  # characters of an address

# https://packaging.python.org/en/latest/specifications/well-known-project-urls/ lists the first
# four as one, the comprehensive changelog, and release notes as curated.
_CHANGELOG_LABELS = ("changelog", "changes", "whatsnew", "history", "releasenotes")
_LINK = re.compile(r"https?://[^\s<>\"|\\^`{}\x00-\x1f\x7f-\U0010ffff]+")  # RFC 3986, 2
_IGNORED = str.maketrans("", "", string.punctuation + string.whitespace)


def offered_versions(page: ProjectPage) -> tuple[str, ...]:
    """Return the versions on a page of which at least one file is not yanked (PEP 592).

    They are in PEP 440's normal form; what does not follow it no installer takes.
    """
    written = {each.version for each in page.files if each.yanked is None}
    return tuple(str(each) for each in map(_parsed, written) if each is not None)


def skipped(offered: Iterable[str], one: str, other: str) -> tuple[str, ...]:
    """Return the final releases among `offered` strictly between two versions, oldest first."""
    ends = (one, other) if is_older(one, other) else (other, one)
    low, high = ends
    between = {each for each in offered if is_older(low, each) and is_older(each, high)}
    return tuple(sorted(filter(is_final, sorted(between)), key=cmp_to_key(_order)))


def is_final(version: str) -> bool:
    """Tell whether a version is none that comes before its release (PEP 440)."""
    parsed = _parsed(version)
    # In its normal form only: conda's 2025b is not 2025's beta.
    return parsed is None or str(parsed) != version or not parsed.is_prerelease


def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


def _order(one: str, other: str) -> int:
    return is_older(other, one) - is_older(one, other)


def changelog(project_urls: Iterable[str]) -> str | None:
    """Return the address of a project's own changelog, or None.

    Args:
        project_urls: the `Project-URL` fields of its core metadata, as in
            `Change Log, https://project.example/news`.
    """
    found: dict[str, str] = {}
    for field in project_urls:
        label, _, address = field.partition(",")
        found.setdefault(_normalized(label), address.strip())
    links = [found[label] for label in _CHANGELOG_LABELS if label in found]
    return next((each for each in links if _is_link(each)), None)


def _normalized(label: str) -> str:
    """Return a label as labels are compared: without ASCII punctuation and space, in lower case."""
    return label.translate(_IGNORED).lower()


def _is_link(address: str) -> bool:
    """Whether a reader may follow it: anybody may have written anything there."""
    try:
        host = urlsplit(address).hostname
    except ValueError:  # brackets that are no IPv6 address
        return False
    return bool(host and _LINK.fullmatch(address)) and len(address) <= _LONGEST
