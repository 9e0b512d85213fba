"""Names of packages and distributions, made comparable."""

from __future__ import annotations

from packaging.utils import canonicalize_name

Distribution = str
"""A distribution's normalized name, as in `python-dateutil`
(https://packaging.python.org/en/latest/specifications/name-normalization/)."""


def normalize(name: str) -> Distribution:
    """Return the normalized form of a distribution's name: lower case, runs of `-_.` as `-`."""
    return str(canonicalize_name(name))
