"""Calls a hook of a build backend (PEP 517) in the directory of a project.

The backend comes as JSON on stdin: its `build-backend` and `backend-path`. The first argument is
`requires`, after which the last line of stdout is a JSON list of what building a wheel needs
besides; or `wheel`, with the directory to put it into.
"""

import importlib
import json
import os
import sys


def main() -> None:
    """Import the backend, and call one hook of it."""
    told = json.loads(sys.stdin.read())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    wanted = sys.argv[1:]
    sys.argv = ["build_hooks"]
    # This program's own directory is nothing that a backend should find.
    sys.path[0:1] = [os.path.abspath(each) for each in told["path"]]  # noqa: PTH100
    module, _, attribute = told["backend"].partition(":")
    backend = importlib.import_module(module)
    for each in filter(None, attribute.split(".")):
        backend = getattr(backend, each)
    if wanted[0] == "wheel":
        answers.write(json.dumps(backend.build_wheel(wanted[1])) + "\n")
    else:
        hook = getattr(backend, "get_requires_for_build_wheel", list)
        answers.write(json.dumps(list(hook())) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
