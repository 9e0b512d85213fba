"""Find the distribution's packages that files of this machine come from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.machine.process import run

_LIMIT = 30.0
_USR = "/usr"


def packages_of(files: Iterable[Path]) -> tuple[str, ...]:
    """Return name and version of dpkg's packages with those files, sorted; () without dpkg.

    Raises:
        TimeLimitError: dpkg-query does not answer.
    """
    paths = sorted({name for each in files for name in _names(str(each))})
    try:
        owners = run(["dpkg-query", "--search", *paths], limit=_LIMIT).stdout
    except ToolError as error:
        if error.exit_code != ToolError.exit_code:
            raise
        return ()
    # `libc6:amd64, libc6-other: /lib/x86_64-linux-gnu/libc.so.6`
    names = {name for line in owners.splitlines() for name in line.rpartition(": ")[0].split(", ")}
    known = sorted(each for each in names if each and " " not in each)
    if not known:
        return ()
    shown = "--showformat=${Package} ${Version}\n"
    told = run(["dpkg-query", "--show", shown, *known], limit=_LIMIT).stdout
    return tuple(sorted(set(told.splitlines())))


def _names(path: str) -> tuple[str, ...]:
    """Return the names that dpkg may know a file by, on both sides of the merge of /usr."""
    return (path, path.removeprefix(_USR)) if path.startswith(_USR) else (path, _USR + path)
