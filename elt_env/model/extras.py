"""What a distribution needs only for an extra (PEP 508)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement

from elt_env.model.names import normalize

_MISSING = re.compile(r"No module named '(?P<module>[\w.]+)'")
_NOT_IN = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")


def needed_by_extras(requires: Iterable[str]) -> frozenset[str]:
    """Return the names that are required for extras alone, by the `Requires-Dist` of metadata."""
    always: set[str] = set()
    extra: set[str] = set()
    for line in requires:
        try:
            found = Requirement(line)
        except InvalidRequirement:
            continue
        mine = extra if found.marker and "extra ==" in str(found.marker) else always
        mine.add(normalize(found.name))
    return frozenset(extra - always)


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


def _missing_module(fault: str) -> str | None:
    found = _MISSING.search(fault)
    if found:
        return found["module"]
    found = _NOT_IN.search(fault)
    return f"{found['module']}.{found['name']}" if found else None
