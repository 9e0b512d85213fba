"""Lines of pyproject.toml: where a key of the policy stands, for messages."""

from __future__ import annotations

import re

_TABLE = "tool.elt-env"
_HEADER = re.compile(r"\s*\[(?P<name>[^\[\]]+)\]\s*(#|$)")
_KEY = re.compile(r"(?P<name>[\w\s.\"'-]+?)\s*=")


def line_of(key: str, text: str) -> int | None:
    """Return the line in which a key is written, or else that of the table it would be in.

    Args:
        key: below `[tool.elt-env]`, as in `environments.elt.pythons`.
        text: the content of a pyproject.toml.

    Returns:
        The first line is 1; None where even the table is not there.
    """
    wanted = _plain(f"{_TABLE}.{key}")
    table, found, length = "", None, 0
    for number, line in enumerate(text.splitlines(), 1):
        header, named = _HEADER.match(line), _KEY.match(line)
        if header:
            table = name = _plain(header["name"])
        elif named:
            name = f"{table}.{_plain(named['name'])}"
        else:
            continue
        is_around = f"{wanted}.".startswith(f"{name}.") and name.startswith(_TABLE)
        if is_around and len(name) > length:
            found, length = number, len(name)
    return found


def _plain(name: str) -> str:
    """Return a dotted key without quotes and blanks; the policy takes `_` for `-`."""
    return re.sub(r"[\s\"']", "", name).replace("_", "-")
