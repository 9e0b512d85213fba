"""The requirements that a distribution has only for an extra (PEP 508)."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from elt_env.package.names import normalize
from elt_env.spec.markers import applies

# https://docs.python.org/3/whatsnew/3.12.html and 3.13.html; pkg_resources left setuptools
_REMOVED = (
    *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils"),
    *("imghdr", "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes"),
    *("pkg_resources", "smtpd", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
)
_MISSING = re.compile(r"No module named '(?P<module>[\w.]+)'")
_NOT_IN = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")


def needed_by_extras(requires: Iterable[str]) -> frozenset[str]:
    """Return the names that are required for extras alone, by the `Requires-Dist` of metadata."""
    always: set[str] = set()
    extra: set[str] = set()
    for found in _parsed(requires):
        mine = extra if found.marker and "extra ==" in str(found.marker) else always
        mine.add(normalize(found.name))
    return frozenset(extra - always)


def needed_always(requires: Iterable[str], python: str) -> frozenset[str]:
    """Return the names that are required without an extra under a full Python version."""
    return frozenset(normalize(each.name) for each in _parsed(requires) if applies(each, python))


@dataclass(frozen=True)
class InstalledMetadata:
    """What the metadata of an installed distribution say.

    Attributes:
        requires: its `Requires-Dist`.
    """

    version: str
    requires: Sequence[str]


def unmet_extras(
    asked: Iterable[str], installed: Mapping[str, InstalledMetadata], python: str
) -> list[str]:
    """Return what the extras that are asked for require and that is not there, a line each, sorted.

    An extra is asked for by one of the requirements `asked`, or by what is installed; its own
    requirements may ask for others in turn (PEP 508). What a distribution requires without an
    extra is left to `pip check`.

    Args:
        asked: requirements of a person.
        installed: the distributions that are there, by normalized name.
        python: the full version of the Python that evaluates markers.
    """
    waiting = _with_extras(_parsed(asked), python)
    for described in installed.values():
        waiting += _with_extras(_parsed(described.requires), python)
    seen, faults = set(waiting), set()
    while waiting:
        name, extra = waiting.pop()
        for each in _of_extra(name, extra, installed, python):
            there = installed.get(normalize(each.name))
            if there is None or not each.specifier.contains(there.version, prereleases=True):
                has = f"{each.name} {there.version} is" if there else "which is not"
                faults.add(f"{name}[{extra}] requires {each.name}{each.specifier}, {has} installed")
            new = {(normalize(each.name), normalize(other)) for other in each.extras} - seen
            seen |= new
            waiting += new
    return sorted(faults)


def _of_extra(
    name: str, extra: str, installed: Mapping[str, InstalledMetadata], python: str
) -> Iterator[Requirement]:
    """Yield what an extra requires beyond what its distribution requires without it."""
    if name in installed:
        for each in _parsed(installed[name].requires):
            if not applies(each, python) and applies(each, python, [extra]):
                yield each


def _with_extras(requirements: Iterable[Requirement], python: str) -> list[tuple[str, str]]:
    return [
        (normalize(each.name), normalize(extra))
        for each in requirements
        if applies(each, python)
        for extra in each.extras
    ]


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        with contextlib.suppress(InvalidRequirement):
            yield Requirement(line)


def missing_distribution(fault: str, candidates: Iterable[str]) -> str | None:
    """Return which of the distributions, by name, an import misses; None when it is none of them.

    A distribution is found by its name, as `adbc-driver-manager` in `adbc_driver_manager`.

    Args:
        fault: the exception that the import raised, in one line.
        candidates: normalized names.
    """
    module = _missing_module(fault)
    if module is None:
        return None
    parts = module.split(".")
    names = {normalize("-".join(parts[:length])) for length in range(1, len(parts) + 1)}
    return next((each for each in sorted(candidates) if each in names), None)


def missing_package(fault: str) -> str | None:
    """Return the top-level module that an import did not find; None where that was not its fault.

    Modules of some standard library are no package: without them a Python or a program is broken.

    Args:
        fault: the exception that the import raised, in one line.
    """
    found = _MISSING.search(fault)
    name = found["module"].split(".")[0] if found else None
    return None if name in sys.stdlib_module_names or name in _REMOVED else name


def is_removed(module: str) -> bool:
    """Tell whether a module was of the standard library and is not of every Python's."""
    return module in _REMOVED


def _missing_module(fault: str) -> str | None:
    found = _MISSING.search(fault)
    if found:
        return found["module"]
    found = _NOT_IN.search(fault)
    return f"{found['module']}.{found['name']}" if found else None
