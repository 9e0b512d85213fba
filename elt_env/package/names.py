"""Names: of packages and distributions, made comparable, and of environment variables."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""The name of an environment variable that any shell can set."""

REFERENCE = re.compile(rf"\$\{{(?P<name>{VARIABLE.pattern})\}}")
"""What stands for the value of a variable in a setting, as in `${SLACK_TOKEN}`."""

Distribution = str
"""A distribution's normalized name, as in `python-dateutil`
(https://packaging.python.org/en/latest/specifications/name-normalization/)."""


def normalize(name: str) -> Distribution:
    """Return the normalized form of a distribution's name: lower case, runs of `-_.` as `-`."""
    return str(canonicalize_name(name))


def named_in(requirement: str) -> str:
    """Return the package's name in a requirement of conda's, as in `numpy >=1.2,<2 py311_*`."""
    text = requirement.rpartition("::")[2].strip()
    end = next((n for n, each in enumerate(text) if each in " =<>!~[;"), len(text))
    return text[:end].lower()
