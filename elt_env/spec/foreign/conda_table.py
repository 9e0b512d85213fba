"""Tables of conda packages, as pixi and conda-lock write them in TOML."""

from __future__ import annotations

from elt_env.spec.foreign.told import TomlFile

_IN_BRACKETS = ("build-number", "md5", "sha256", "subdir")
_READ = ("version", "build", "channel", "optional", *_IN_BRACKETS)
_UNREAD = "Its tool alone keeps it."


def conda_line(file: TomlFile, name: str, asked: object) -> str:
    """Return a conda requirement for a bound, or for a table; what has no place in one is told."""
    table = asked if isinstance(asked, dict) else {"version": str(asked)}
    file.skip_of(name, {*table} - {*_READ}, table, _UNREAD)
    channel = f"{table['channel']}::" if table.get("channel") else ""
    version = str(table.get("version") or "*")
    # MatchSpec takes a version by itself for itself alone; so does pixi for `==`.
    parts = [f"{channel}{name}", *([version] if version != "*" or table.get("build") else [])]
    line = " ".join([*parts, *([str(table["build"])] if table.get("build") else [])])
    inside = [f"{key.replace('-', '_')}='{table[key]}'" for key in _IN_BRACKETS if table.get(key)]
    return f"{line}[{','.join(inside)}]" if inside else line


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
