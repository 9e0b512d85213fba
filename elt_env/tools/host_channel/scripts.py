"""Console scripts: entry points, and the text of the files in `bin`. Pure functions."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

from elt_env.tools.host_channel.archive import PLACEHOLDER

_GROUPS = ("console_scripts", "gui_scripts")
_REFERENCE = re.compile(r"(?P<module>[\w.]+)\s*:\s*(?P<attribute>[\w.]+)\s*(?:\[.*\])?")
_SHEBANG = re.compile(rb"#!pythonw?[^\r\n]*(\r?\n|$)")
# The kernel limits the length of a shebang and splits it at spaces; sh does neither
# (https://github.com/pypa/distlib/blob/master/distlib/scripts.py uses the same trick).
_LAUNCHER = f"""\
#!/bin/sh
'''exec' "{PLACEHOLDER}/bin/python" "$0" "$@"
' '''
"""


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
        message = f"'{name} = {reference}' is not a script's entry point"
        raise ValueError(message)
    return EntryPoint(name, found["module"], found["attribute"])


def entry_point_script(point: EntryPoint) -> bytes:
    """Return the text of the file in `bin` that runs an entry point, with the placeholder."""
    imported = point.attribute.partition(".")[0]
    text = (
        f"{_LAUNCHER}import sys\nfrom {point.module} import {imported}\n\n"
        f'if __name__ == "__main__":\n    sys.exit({point.attribute}())\n'
    )
    return text.encode()


def relocatable_script(content: bytes) -> bytes:
    """Return a wheel's script; where it starts with `#!python`, with a launcher in its place."""
    found = _SHEBANG.match(content)
    return content if found is None else _LAUNCHER.encode() + content[found.end() :]
