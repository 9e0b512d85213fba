"""The places of a module's bytecode: PEP 3147, and PEP 488 for optimized bytecode.

What lies in a `__pycache__` directory is derived from what lies beside it: Python, and tools like
numba, write it anew whenever they like. A `.pyc` anywhere else is a module itself: nothing writes
it, and what it was compiled from may not be there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CACHE = "__pycache__"
_FILE = re.compile(
    r"(?P<directory>(?:.*/)?)__pycache__/"
    r"(?P<module>[^/]+)\.(?P<tag>(?!opt-)[^./]+)(?:\.opt-(?P<level>[^./]+))?\.pyc",
    re.DOTALL,
)


@dataclass(frozen=True)
class Bytecode:
    """A file of bytecode.

    Attributes:
        source: the path of the module that it is compiled from.
        tag: the kind of interpreter that it is for, as in `cpython-311`.
        level: how it is optimized: "" for not at all, else what `-O` and `-OO` take, "1" and "2".
    """

    source: str
    tag: str
    level: str


def is_cached(path: str) -> bool:
    """Whether a path with `/` lies in a directory of what is derived from its neighbours."""
    return _CACHE in path.split("/")[:-1]


def parse_bytecode(path: str) -> Bytecode | None:
    """Return what a path with `/` is the bytecode of; None for any other file."""
    found = _FILE.fullmatch(path)
    if found is None:
        return None
    source = f"{found['directory']}{found['module']}.py"
    return Bytecode(source, found["tag"], found["level"] or "")


def bytecode_path(source: str, tag: str) -> str:
    """Return the path of the bytecode of the module at the path `source`, not optimized."""
    directory, slash, name = source.rpartition("/")
    return f"{directory}{slash}{_CACHE}/{name.removesuffix('.py')}.{tag}.pyc"
