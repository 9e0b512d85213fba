"""Imports the modules named on stdin, one a line, and writes one JSON line about each to stdout.

A name may go on with ":" and the name of what the module must have, as an entry point's does.

A line `{"trying": NAME}` comes before each attempt, so that the caller knows the culprit when the
interpreter itself ends. It also ends, with exit code 1 and a stack on stderr, when one import takes
longer than the number of seconds given as the first argument. What the modules print goes to
stderr. A name after "?" is tried unless the package that it is of did not import. With a second
argument, none of these is begun after that moment of the monotonic clock, and `{"left": NUMBER}`
says of how many modules nothing is known.
"""

import ast
import contextlib
import faulthandler
import gc
import importlib
import importlib.util
import json
import os
import re
import socket
import sys
import time
import traceback
import types
import warnings

_GONE = re.compile(
    r"\b(?:moved|removed|renamed|replaced|deprecated|no longer|gone)\b", re.IGNORECASE
)


def main() -> None:
    """Import every module named on stdin."""
    gc.disable()  # what is imported stays: to search it is a quarter of the time
    names = sys.stdin.read().split()
    # Modules may print through the descriptor itself; keep one of our own for the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    patience, *moment = map(float, sys.argv[1:])
    deadline = moment[0] if moment else float("inf")
    sys.argv = ["import_modules"]
    warnings.simplefilter("ignore")
    broken: "dict[str, dict[str, str | None]]" = {}  # noqa: UP037  # any Python runs it
    left = 0
    for line in names:
        name = line.lstrip("?")
        if name != line and time.monotonic() > deadline:
            left += 1
            continue
        answers.write(json.dumps({"trying": name}) + "\n")
        answers.flush()
        # It ends an import that keeps the interpreter's lock as well.
        faulthandler.dump_traceback_later(patience, exit=True, file=2)
        start = time.perf_counter()
        top = name.partition(".")[0]
        found = (name != line and broken.get(top)) or _import(name)
        if found["fault"] and top not in sys.modules:
            broken[top] = found
        seconds = round(time.perf_counter() - start, 3)
        answer = dict(found, module=name, seconds=seconds)
        answer["hidden"] = bool(found["fault"]) and _is_hidden(name)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    faulthandler.cancel_dump_traceback_later()
    if left:
        answers.write(json.dumps({"left": left}) + "\n")
        answers.flush()
    # Threads that a module started must not keep the interpreter.
    os._exit(0)


def _import(name: str) -> "dict[str, str | None]":
    """Import one; return the exception in one line, and what there is to say of it."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            module, _, attribute = name.partition(":")
            found = importlib.import_module(module)
            for each in filter(None, attribute.split(".")):
                found = getattr(found, each)
    except BaseException as error:  # noqa: BLE001  # a module may raise anything, SystemExit too
        text = str(error).strip().split("\n")[0] or _line(error)
        told = "%s: %s" % (type(error).__name__, text)  # noqa: UP031  # any Python runs it
        before = _lacked(error)
        apart = "" if before else _apart(error, name.partition(":")[0])
        return {"fault": told, "missing": _missing(error), "apart": apart, "before": before}
    return {"fault": None}


def _apart(error: BaseException, name: str) -> str:
    """Return why a module is nothing to import, as `is a program`; "" where it may be.

    A program wants a variable or arguments of whoever runs it, a template names to put in. What is
    no more says so whatever is installed.
    """
    if any(isinstance(each, (ConnectionError, socket.gaierror)) for each in _chain(error)):
        return "wants the network"
    return _apart_by_source(error, name)


def _apart_by_source(error: BaseException, name: str) -> str:
    """Return the same as far as the source of the module tells."""
    frames = traceback.extract_tb(error.__traceback__)
    if frames and isinstance(error, KeyError):
        last = frames[-1]
        of_variables = last.name == "__getitem__" and last.filename in (os.__file__, "<frozen os>")
        return "is a program" if of_variables else ""
    tops = [each for each in frames if each.name == "<module>"]
    end = os.sep + name.rpartition(".")[2]
    if not tops or not tops[-1].filename.endswith((end + ".py", end + os.sep + "__init__.py")):
        return ""
    try:
        with open(tops[-1].filename, "rb") as file:  # noqa: PTH123  # open to any Python
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return ""
    said = _said_by(error, tops[-1], tree) if tops[-1] is frames[-1] else ""
    if not said and any(map(_refuses, tree.body[1:])):
        return "is nothing to import, as it says"
    return "is a program" if not said and _is_program(error, tree) else said


def _lacked(error: BaseException) -> str:
    """Return the submodule that nobody imported and that was taken for an attribute, or ""."""
    above = getattr(error, "obj", None)  # of an AttributeError, since Python 3.10
    if not isinstance(error, AttributeError) or not isinstance(above, types.ModuleType):
        return ""
    name = above.__name__ + "." + str(error.name)
    try:
        return name if importlib.util.find_spec(name) else ""
    except (ImportError, ValueError):
        return ""


def _said_by(error: BaseException, line: traceback.FrameSummary, tree: ast.Module) -> str:
    """Return what the line of a module that raised an exception says that the module is."""
    raised = (n for n in tree.body if isinstance(n, ast.Raise))
    if any(n.lineno <= (line.lineno or 0) <= (n.end_lineno or 0) for n in raised):
        return "is no more" if _GONE.search(str(error)) else ""
    return "is a template" if isinstance(error, NameError) and "{{" in (line.line or "") else ""


def _refuses(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Raise) and "ImportError" in ast.dump(statement)


def _is_program(error: BaseException, tree: ast.Module) -> bool:
    """Tell whether a module reads arguments when it is imported, and fails over something else."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    once = (
        inner
        for each in tree.body
        if not isinstance(each, functions)
        and not (isinstance(each, ast.If) and "__name__" in ast.dump(each.test))
        for inner in ast.walk(each)
    )
    parses = any(isinstance(each, ast.Attribute) and each.attr == "parse_args" for each in once)
    return parses and not isinstance(error, ImportError)


def _is_hidden(name: str) -> bool:
    """Tell whether the standard library has what is above a module, and is found before it."""
    top, _, below = name.partition(".")
    place = getattr(sys.modules.get(top), "__file__", None) or ""
    standard, installed = os.__file__.rpartition(os.sep)[0], os.sep + "site-packages" + os.sep
    inside = place.startswith(standard + os.sep) and installed not in place
    return bool(below) and (inside or top in sys.builtin_module_names)


def _line(error: BaseException) -> str:
    """Return the source line that raised an exception without a text, as `assert` does."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].line or "" if frames else ""


def _missing(error: BaseException) -> "str | None":
    """Return what was not found, in words of its own or of whoever caught it; None if nothing."""
    found = (each for each in _chain(error) if isinstance(each, ModuleNotFoundError))
    return next((each.name for each in found), None)


def _chain(error: "BaseException | None") -> "list[BaseException]":
    """Return an exception, and those that led to it."""
    chain: "list[BaseException]" = []  # noqa: UP037  # any Python runs it
    while error is not None and len(chain) < 20:  # noqa: PLR2004  # it may be a ring
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


if __name__ == "__main__":
    main()
