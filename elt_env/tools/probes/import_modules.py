"""Imports the modules named on stdin, one a line, and writes one JSON line about each to stdout.

A name may go on with ":" and the name of what the module must have, as an entry point's does.

A line `{"trying": NAME}` comes before each attempt, so that the caller knows the culprit when the
interpreter itself ends. It also ends, with exit code 1 and a stack on stderr, when one import takes
longer than the number of seconds given as the argument. What the modules print goes to stderr.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import sys
import time
import warnings


def main() -> None:
    """Import every module named on stdin."""
    names = sys.stdin.read().split()
    # Modules may print through the descriptor itself; keep one of our own for the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    patience = float(sys.argv[1])
    sys.argv = ["import_modules"]
    warnings.simplefilter("ignore")
    for name in names:
        answers.write(json.dumps({"trying": name}) + "\n")
        answers.flush()
        # It ends an import that keeps the interpreter's lock as well.
        faulthandler.dump_traceback_later(patience, exit=True, file=2)
        start = time.perf_counter()
        fault = _import(name)
        seconds = round(time.perf_counter() - start, 3)
        answers.write(json.dumps({"module": name, "fault": fault, "seconds": seconds}) + "\n")
        answers.flush()
    faulthandler.cancel_dump_traceback_later()
    # Threads that a module started must not keep the interpreter.
    os._exit(0)


def _import(name: str) -> "str | None":
    try:
        with contextlib.redirect_stdout(sys.stderr):
            module, _, attribute = name.partition(":")
            found = importlib.import_module(module)
            for each in filter(None, attribute.split(".")):
                found = getattr(found, each)
    except BaseException as error:  # noqa: BLE001  # a module may raise anything, SystemExit too
        text = str(error).strip().split("\n")[0]
        return "%s: %s" % (type(error).__name__, text)  # noqa: UP031  # any Python runs it
    return None


if __name__ == "__main__":
    main()
