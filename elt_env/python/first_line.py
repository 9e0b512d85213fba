"""The first lines that installers write to name the interpreter of a script.

The kernel cuts a long first line, and ends the name of the program at a space (execve(2)). Where
that would happen, installers write a few lines that mean one thing to `sh`, which runs the program,
and nothing to Python. uv spells the path in octal if the line behind them declares an encoding,
which then has to be declared in the second line as well (PEP 263).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

_LONG = re.compile(
    rb"\A#!/bin/sh\n(?:#[^\n]*\n)?"
    rb"'''exec' (?P<program>[^\n]*?) \"\$0\" \"\$@\" ?(?:#'''|\n' ''')\n"
)
_OCTAL = re.compile(rb"'\\'0([0-7]{3})")
_ENCODING = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*(?P<name>[-\w.]+)")


def long_first_line(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the program that runs a script which has the long form, and what follows that.

    Args:
        data: the script, or its first lines.
    """
    found = _LONG.match(data)
    if not found:
        return None
    spelled = bytes(int(each, 8) for each in _OCTAL.findall(found["program"]))
    return spelled or _unquoted(found["program"]), data[found.end() :]


def _unquoted(word: bytes) -> bytes:
    """Return what a shell makes of a quoted word; pip wrote words with spaces without quotes."""
    if not word.startswith((b"'", b'"')):
        return word
    try:
        return os.fsencode("".join(shlex.split(os.fsdecode(word))))
    except ValueError:  # no word of a shell's
        return word


def written_by_uv(program: bytes, script: bytes) -> Iterator[bytes]:
    """Yield what uv makes of a script that this program runs: the short form, and the long ones.

    Args:
        program: an absolute path.
        script: what follows the first line.
    """
    yield b"#!%b\n%b" % (program, script)
    quoted = b"'%b'" % program.replace(b"'", b"'\"'\"'")
    tail = b"'''exec' %b \"$0\" \"$@\"\n' '''\n"
    yield b"#!/bin/sh\n" + tail % quoted + script
    encoding = _ENCODING.match(script)
    if encoding:
        octal = b" ".join(b"'\\'0%03o" % each for each in program)
        head = b"#!/bin/sh\n# coding: %b\n" % encoding["name"]
        yield head + tail % (b'"$(printf %b ' + octal + b')"') + script
