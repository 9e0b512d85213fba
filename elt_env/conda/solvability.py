"""Find out in a process of its own whether a request has a solution, and if not, why.

rattler explains a request without a solution by a tree of what needs what. Where packages need each
other that tree can be endless: a thread that nothing can end fills the memory with it. So it is
first asked for something that has a solution in any case, and an explanation that may be endless
is made where its memory and its time are limited.
"""

from __future__ import annotations

import graphlib
import pickle
import sys
from collections.abc import Sequence

import rattler
from rattler.package.build_string import BuildString
from rattler.package.package_name import PackageName

from elt_env.errors import TimeLimitError
from elt_env.machine.process import run
from elt_env.machine.scratch import scratch_directory

_ASKED = "elt-env-asked"
_TEXT_LIMIT = 10.0  # seconds
_PROGRAM = "elt_env.conda.explain"
_NO_TEXT = (
    "Cannot solve the request because of: packages need each other in ways that the solver cannot "
    "explain."
)


class EndlessError(Exception):
    """A request has no solution, and what the solver says of that may have no end."""


class Attempt:
    """A source of one package, of which one version needs all that is asked for, another nothing.

    Args:
        specs: what is asked for, as requirements of repodata.
    """

    name = _ASKED

    def __init__(self, specs: Sequence[str]) -> None:
        self._records = [_record("2", specs), _record("1", ())]

    async def fetch_package_records(
        self, platform: rattler.Subdir, name: PackageName
    ) -> list[rattler.RepoDataRecord]:
        """Return the records of one package."""
        mine = name.normalized == _ASKED and str(platform) == "noarch"
        return self._records if mine else []

    def package_names(self, platform: rattler.Subdir) -> list[str]:
        """Return the names of all packages."""
        return [_ASKED] if str(platform) == "noarch" else []

    @staticmethod
    def succeeded(records: Sequence[rattler.RepoDataRecord]) -> bool:
        """Tell whether a solution has all that is asked for."""
        return any(str(each.version) == "2" for each in records if each.name.normalized == _ASKED)


def _record(version: str, depends: Sequence[str]) -> rattler.RepoDataRecord:
    record = rattler.PackageRecord(
        name=_ASKED,
        version=version,
        build=BuildString("0"),
        build_number=0,
        subdir="noarch",
        depends=list(depends),
    )
    file = f"{_ASKED}-{version}-0.conda"
    return rattler.RepoDataRecord(record, file, f"file:///noarch/{file}", "file:///")


async def need_each_other(
    gateway: rattler.Gateway,
    channels: Sequence[rattler.Channel],
    platforms: Sequence[rattler.Subdir],
    specs: Sequence[str],
) -> bool:
    """Tell whether some of the packages that specs could bring need each other.

    False where a channel has nothing of that name: then there is little to explain.
    """
    answer = await gateway.query(list(channels), list(platforms), list(specs), recursive=True)
    needs: dict[str, set[str]] = {}
    for record in (each for some in answer for each in some):
        found = needs.setdefault(record.name.normalized, set())
        found.update(each.split()[0].rpartition("::")[2].lower() for each in record.depends if each)
    asked = (rattler.MatchSpec(each).name for each in specs)
    if any(each is not None and each.normalized not in needs for each in asked):
        return False
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError:
        return True
    return False


def explanation(arguments: object) -> str:
    """Return why a request has no solution, as far as that can be told within limits.

    Args:
        arguments: what makes a `Rattler`, and the request; they are handed to another process.
    """
    with scratch_directory("solve") as place:
        path = place / "request"
        path.write_bytes(pickle.dumps(arguments))
        command = [sys.executable, "-m", _PROGRAM, str(path)]
        try:
            done = run(command, limit=_TEXT_LIMIT)
        except TimeLimitError:
            return _NO_TEXT
    return _NO_TEXT if done.returncode else done.stdout or _NO_TEXT
