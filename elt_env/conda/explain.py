"""Print why a conda request has no solution: `python -m elt_env.conda.explain FILE`.

It is a process of its own, so that an explanation without an end ends with the memory that it may
have.
"""

from __future__ import annotations

import pickle
import resource
import sys
from pathlib import Path

from elt_env.conda.rattler_tool import Rattler

_MEMORY = 1 << 31  # bytes, beside those that are taken before the request is solved


def main(path: Path) -> None:
    """Print the solver's explanation of what is in a file that `solvability` wrote."""
    arguments, request = pickle.loads(path.read_bytes())  # noqa: S301  # a file of our own
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(Rattler(*arguments).explanation(request))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
