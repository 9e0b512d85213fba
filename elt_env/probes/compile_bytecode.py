"""Compiles modules below the directory it runs in, for the interpreter that runs it.

On stdin is a JSON object: `groups`, each a list of paths as in `lib/python3.11/os.py`, and `level`,
how they are optimized, from 0 to 2. Beside each source lies its compiled module afterwards, as
PEP 552's checked hash, so that a source that is changed later is still noticed. It names the source
by that path; the import system puts the true one in its place (`_fix_co_filename` in CPython's
Lib/importlib/_bootstrap_external.py).

What marshal writes for a name depends on whether another object of the process holds that name
too (FLAG_REF in CPython's Python/marshal.c). So each group is compiled in a child of one small
process that compiles nothing: the same group gives the same bytes whatever else is compiled.

Each source that does not compile is written to stdout, in a line with the reason.
"""

import contextlib
import importlib.util
import json
import os
import py_compile
import sys
import warnings

_AT_ONCE = 2
_WIDTH = 500  # a line in one write to a pipe stays whole


def main() -> int:
    """Compile every group; return the exit code."""
    task = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    running: set[int] = set()
    for group in task["groups"]:
        if len(running) == _AT_ONCE:
            running.remove(_ended())
        child = os.fork()
        if child == 0:
            _compile_and_exit(group, task["level"])
        running.add(child)
    for _ in running:
        _ended()
    return 0


def _ended() -> int:
    child, status = os.wait()
    if status:
        sys.exit("a compiling process ended with status %d" % status)  # noqa: UP031  # any Python
    return child


def _compile_and_exit(group: "list[str]", level: int) -> None:
    code = 1
    try:
        for path in group:
            _compile(path, level)
        code = 0
    except BaseException as error:  # noqa: BLE001  # nothing of the parent may go on in the child
        os.write(2, ("%s: %s\n" % (type(error).__name__, error)).encode())  # noqa: UP031
    finally:
        os._exit(code)


def _compile(path: str, level: int) -> None:
    compiled = importlib.util.cache_from_source(path, optimization=level or "")
    try:
        if os.path.islink(compiled):  # noqa: PTH114  # py_compile does not write over a link
            os.unlink(compiled)  # noqa: PTH108
        py_compile.compile(
            path,
            cfile=compiled,
            doraise=True,
            optimize=level,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        reason = " ".join(str(error.exc_value).split())
        os.write(1, ("%s: %s" % (path, reason)).encode("utf-8", "replace")[:_WIDTH] + b"\n")  # noqa: UP031


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
