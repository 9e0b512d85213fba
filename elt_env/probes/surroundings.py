"""Writes to stdout, as JSON, where the interpreter that runs it takes its things from.

The modules named on stdin, one a line, are imported first; what does not import is passed by;
with what they load, the list of shared objects is that of a tool at work. When one import takes
longer than the number of seconds given as the argument, the interpreter ends with exit code 1, the
module's name in the last line of stdout and a stack on stderr.

What an import appends to sys.path is left out: some programs look for their user's plugins there.
It takes the place of nothing, and a module that came from there is told.
"""

import contextlib
import faulthandler
import gc
import importlib
import json
import os
import sys
import warnings


def main() -> None:
    """Import, then tell."""
    gc.disable()  # what is imported stays: to search it is a quarter of the time
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    del sys.path[0]  # this program's own directory
    warnings.simplefilter("ignore")
    patience = float(sys.argv[1])
    sys.argv = ["surroundings"]
    start = frozenset(sys.path)
    putters: "dict[str, str]" = {}  # noqa: UP037  # any Python runs it
    for name in sys.stdin.read().split():
        answers.write(name + "\n")
        answers.flush()
        # It ends an import that keeps the interpreter's lock as well.
        faulthandler.dump_traceback_later(patience, exit=True, file=2)
        with contextlib.suppress(BaseException):  # other checks tell of what does not import
            importlib.import_module(name)
        for each in set(sys.path) - start:
            putters.setdefault(each, name)
    faulthandler.cancel_dump_traceback_later()
    answers.write(json.dumps({**_surroundings(start), "putters": putters}) + "\n")
    answers.flush()
    # Threads that a module started must not keep the interpreter.
    os._exit(0)


def _surroundings(start: "frozenset[str]") -> "dict[str, object]":
    import site

    last = max((n for n, each in enumerate(sys.path) if each in start), default=len(sys.path))

    with open("/proc/self/maps") as maps:  # noqa: PTH123  # open to any Python
        fields = (line.split(None, 5) for line in maps)
        mapped = {each[5].strip() for each in fields if len(each) == 6}  # noqa: PLR2004
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": [each for each in sys.path[: last + 1] if each],
        "user_site": bool(site.ENABLE_USER_SITE),
        "modules": sorted({each for each in files if isinstance(each, str) and "/" in each}),
        "mapped": sorted(each for each in mapped if ".so" in os.path.basename(each)),  # noqa: PTH119
        "variables": dict(os.environ),
    }


if __name__ == "__main__":
    main()
