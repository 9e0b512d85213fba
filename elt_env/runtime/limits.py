"""The most that a file which a person hands over may hold: one rule for every kind of file.

What goes beyond is refused at once and in a sentence. Each limit is far above what such files are
in the field, and low enough that whatever stays below it is read in about a second.
"""

from __future__ import annotations

import json
import sys
from typing import Any

MOST_BYTES = 4 << 20
"""Bytes of a text that a person writes: a spec, requirements with hashes, settings, a policy."""

MOST_LOCK_BYTES = 16 << 20
"""Bytes of a file that this program writes, such as a lock.json of thousands of packages."""

MOST_STORED_BYTES = 256 << 20
"""Bytes of any other file that a program writes, such as the list of a prefix's files."""

MOST_ARCHIVE_BYTES = 32 << 30
"""Bytes of a package, a layer of an image, or a file of either."""

MOST_YAML_BYTES = 1 << 20
"""Bytes of a YAML file, whose reader is slow."""

MOST_DEPTH = 40
"""Values inside of values, in YAML, JSON or TOML; parentheses of a marker."""

MOST_VALUES = 10_000
"""Values of a YAML document, an alias counted as what it stands for."""

MOST_REQUIREMENTS = 2_000
"""Requirements of a spec for pip, with those of all files that it includes."""

MOST_FILES = 100
"""Files that a spec includes, each as often as it is included."""

MOST_BOUNDS = 50
"""Bounds on one package."""

MOST_FAULTS = 50
"""Faults of a file after which it is read no further."""

MOST_WIDTH = 2_000
"""Characters of one requirement, without the options behind it."""

MOST_TEXT = 32_000
"""Characters of a variable's value; execve(2) takes 131,072 bytes of a name and a value."""

MOST_TOLD = 1_000
"""Characters of a sentence about a fault, which quotes what was written."""


def load_json(text: str | bytes) -> Any:  # noqa: ANN401  # whatever JSON can hold
    """Return what a JSON text holds.

    Raises:
        ValueError: it is not JSON, or has more than MOST_DEPTH values inside of each other.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        if "integer string" in str(error):  # sys.set_int_max_str_digits
            raise ValueError("a number in it has thousands of digits") from None
        raise
    except RecursionError:
        raise ValueError(_too_deep()) from None
    require_shallow(content)
    return content


def load_toml(text: str) -> dict[str, Any]:
    """Return what a TOML text holds.

    Raises:
        ValueError: it is not TOML, or has more than MOST_DEPTH values inside of each other.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        content = tomllib.loads(text)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    require_shallow(content)
    return content


def require_shallow(content: object) -> None:
    """Return when what JSON or TOML holds has no more than MOST_DEPTH values in each other.

    Raises:
        ValueError: it has.
    """
    level = [content]
    for _ in range(MOST_DEPTH + 1):
        level = [inside for each in level for inside in _inside(each)]
        if not level:
            return
    raise ValueError(_too_deep())


def _inside(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _too_deep() -> str:
    return f"more than {MOST_DEPTH} values are nested in each other"
