"""Tables of conda packages, as pixi and conda-lock write them in TOML."""

from __future__ import annotations


def conda_line(name: str, asked: object) -> str:
    """Return a conda requirement for a bound, or for a table with version, build and channel."""
    table = asked if isinstance(asked, dict) else {"version": str(asked)}
    channel = f"{table['channel']}::" if table.get("channel") else ""
    version = str(table.get("version") or "*")
    # MatchSpec takes a version by itself for itself alone; so does pixi for `==`.
    parts = [f"{channel}{name}", *([version] if version != "*" or table.get("build") else [])]
    return " ".join([*parts, *([str(table["build"])] if table.get("build") else [])])


def channels_of(listed: object) -> tuple[str, ...]:
    """Return the channels of a list of names, URLs, and tables that name one.

    Those with a higher `priority` come first, as pixi has it; it is 0 where none is said.
    """
    tables = [
        each if isinstance(each, dict) else {"channel": each}
        for each in (listed if isinstance(listed, list) else [listed] if listed else [])
    ]
    tables.sort(key=lambda each: -(each.get("priority") or 0))
    names = (str(each.get("channel") or each.get("url") or "") for each in tables)
    return tuple(filter(None, names))
