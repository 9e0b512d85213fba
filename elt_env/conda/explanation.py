"""The way to the culprit in rattler's explanation of a solve without a solution."""

from __future__ import annotations

import re

_CAUSE = "Cannot solve the request because of: "
_LINE = re.compile(r"(?P<indent>[│ ]*(?:[├└]─ )?)(?P<what>\S.*)")
_END = re.compile(r",? (?:would (?:require|constrain)|cannot be|can be|for which|which)\b|\.$")
_NO_CANDIDATES = re.compile(r"No candidates were found for (?P<name>\S+) (?P<version>\S*?)\.?$")
_ABOUT_PYTHON = ("python", "python_abi")


def culprit_chain(text: str) -> tuple[str, ...]:
    """Return the first way from what was asked for to what cannot be had, each `name bound`.

    Of several versions that fail, the explanation has the newest first. () when there is none.
    """
    lines = [line for each in text.splitlines() if (line := each.replace(_CAUSE, "").rstrip())]
    for number, line in enumerate(lines):
        alone = _NO_CANDIDATES.search(line)
        if alone:
            return (_entry(alone["name"], alone["version"]),)
        depth, what = _parts(line)
        if "cannot be installed" in what and depth <= 1:
            return _merged([_package(what), *_below(lines[number + 1 :], depth)])
    return ()


def _below(lines: list[str], depth: int) -> list[tuple[str, str]]:
    """Return the packages of the first branch below a line of that depth."""
    found: list[tuple[str, str]] = []
    for line in lines:
        deeper, what = _parts(line)
        if deeper <= depth:
            break
        depth = deeper
        if "which conflicts" in what and found:
            break  # what was asked of it says more than the version that would do
        found.append(_package(what))
        if found[-1][0] in _ABOUT_PYTHON:
            break
    return found


def _parts(line: str) -> tuple[int, str]:
    found = _LINE.fullmatch(line)
    return (len(found["indent"]) // 3, found["what"]) if found else (0, line)


def _package(what: str) -> tuple[str, str]:
    """Return the name and the version or bound that a line begins with."""
    head = _END.split(what, maxsplit=1)[0]
    name, _, version = head.strip().partition(" ")
    return name, version.strip()


def _merged(packages: list[tuple[str, str]]) -> tuple[str, ...]:
    """Return one entry a package: its one version where there is one, else what was asked of it."""
    entries: dict[str, str] = {}
    for name, version in packages:
        if name not in entries or "|" not in version:
            entries[name] = version
    return tuple(_entry(name, version) for name, version in entries.items())


def _entry(name: str, version: str) -> str:
    return name if version in ("", "*") else f"{name} {version.removesuffix('.*')}"
