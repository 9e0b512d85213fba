"""Bytecode as other builders leave it in their packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

from elt_env.python.interpreters import list_interpreters

Kind = Literal["TIMESTAMP", "CHECKED_HASH", "UNCHECKED_HASH"]
_LIMIT = 60.0
_COMPILE = """\
import os, py_compile, sys
source, compiled, kind, time, level = sys.argv[1:]
os.utime(source, (int(time), int(time)))
mode = py_compile.PycInvalidationMode[kind]
py_compile.compile(source, compiled, doraise=True, invalidation_mode=mode, optimize=int(level))
"""


def bytecode(  # what a builder decides
    minor: str,
    source: str,
    scratch: Path,
    *,
    kind: Kind = "TIMESTAMP",
    time: int = 0,
    level: int = 0,
) -> bytes:
    """Return what a Python of that minor compiles a text to, which was written at that time."""
    file, compiled = scratch / "module.py", scratch / "module.pyc"
    file.write_text(source, encoding="utf-8")
    arguments = [str(each) for each in (file, compiled, kind, time, level)]
    command = [_python(minor), "-S", "-c", _COMPILE, *arguments]
    subprocess.run(command, check=True, timeout=_LIMIT)
    return compiled.read_bytes()


def _python(minor: str) -> str:
    if minor == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    usable, _ = list_interpreters()
    return str(next(each.executable for each in usable if each.minor == minor))
