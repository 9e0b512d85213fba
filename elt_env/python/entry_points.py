"""Entry points of a distribution that are console scripts."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

_GROUPS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<attribute>[\w.]+)\s*(?:\[.*\])?")


@dataclass(frozen=True)
class EntryPoint:
    """A console script: its name, the module it is in and the attribute that is called."""

    name: str
    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.name} = {self.module}:{self.attribute}"


def parse_entry_points(text: str) -> tuple[EntryPoint, ...]:
    """Return the scripts that an `entry_points.txt` declares, sorted by name.

    The format: https://packaging.python.org/en/latest/specifications/entry-points/

    Raises:
        ValueError: it is not such a file.
    """
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(str(error)) from error
    declared = {
        name: reference
        for group in _GROUPS
        if parser.has_section(group)
        for name, reference in parser.items(group)
    }
    return tuple(_entry_point(name, declared[name]) for name in sorted(declared))


def _entry_point(name: str, reference: str) -> EntryPoint:
    found = _REFERENCE.fullmatch(reference.strip())
    if found is None or "/" in name:
        raise ValueError(f"'{name} = {reference}' is not a script's entry point")
    return EntryPoint(name, found["module"], found["attribute"])
