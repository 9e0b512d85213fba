"""No conda at all: Python is an interpreter of this machine, and the prefix is a venv of it."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import rattler

from elt_env.conda.offered import bare_record
from elt_env.conda.port import Carried, ChannelRelease, LeftOut, SolveRequest
from elt_env.errors import CondaUnsatisfiableError, InputError
from elt_env.lockfile.document import Package, machine_python
from elt_env.lockfile.foreign.document import ForeignArchive
from elt_env.machine.process import Say, unheard
from elt_env.package.names import named_in
from elt_env.package.target import minor_of
from elt_env.python.interpreters import find_for_venv, for_venvs
from elt_env.python.venv_base import make_venv
from elt_env.spec.conda_spec import CondaSpec
from elt_env.store.kept_files import KeptFiles

_PYTHON = "python"
_VENV_LIMIT = 120.0  # seconds


@dataclass(frozen=True)
class _Pythons:
    """The interpreters of this machine as the builds that may be taken; see Offered."""

    pythons: tuple[Package, ...]
    constrained: frozenset[str] = frozenset()

    def asking(self, specs: Iterable[CondaSpec]) -> _Pythons:
        del specs
        return self

    def builds(self, name: str) -> tuple[Package, ...]:
        return self.pythons if name == _PYTHON else ()

    def matching(self, requirement: str) -> frozenset[int]:
        found = enumerate(self.builds(named_in(requirement)))
        return frozenset(number for number, each in found if _matches(requirement, each))

    def left_out(self, requirement: str) -> tuple[LeftOut, ...]:
        del requirement
        return ()

    def versions(self, name: str) -> tuple[str, ...]:
        return tuple(each.version for each in self.builds(name))


class Venv:
    """What brings Python where conda brings nothing; see Solver and Linker.

    Args:
        named: paths of interpreters that go before all others, relative to `root`.
        root: the project's directory.
        limit: seconds that a venv may take to be made.
    """

    name = "venv"
    kept = KeptFiles(Path("/nonexistent"))

    def __init__(self, named: Iterable[str], root: Path, limit: float) -> None:
        self._named = tuple(root / Path(each).expanduser() for each in named)
        self._limit = min(limit, _VENV_LIMIT)

    def version(self) -> str:
        """Return the version of the module that makes venvs, which is Python's."""
        return platform.python_version()

    def channel_urls(self, channels: Iterable[str]) -> tuple[str, ...]:
        """Return none: there are no channels."""
        del channels
        return ()

    def reachable(self, channels: tuple[str, ...]) -> bool:
        """Tell that nothing has to be reached."""
        del channels
        return True

    def solve(self, request: SolveRequest, say: Say = unheard) -> tuple[Package, ...]:
        """Return the Python of this machine that is asked for; see Solver.

        Raises:
            ToolError: this machine has none of that minor.
            CondaUnsatisfiableError: it has, and more is asked of it.
        """
        del say
        asked = [each for each in (*request.specs, *request.constraints) if each.name == _PYTHON]
        known = self._pythons()
        for each in known:
            if all(self.matches(spec, each) for spec in asked):
                return (replace(each, requested=True),)
        find_for_venv(request.specs[0].version.lstrip("="), self._named)
        raise CondaUnsatisfiableError(
            f"This machine has no Python for {' and '.join(map(str, asked))}",
            "Get one with uv python install or pyenv install, or ask for one that is there.",
        )

    def _pythons(self) -> tuple[Package, ...]:
        versions = dict.fromkeys(each.version for each in for_venvs(self._named))
        return tuple(map(machine_python, versions))

    def releases(
        self, channels: tuple[str, ...], names: tuple[str, ...], platform: str
    ) -> dict[str, tuple[ChannelRelease, ...]]:
        """Return the Pythons of this machine; see Solver."""
        del channels, platform
        found = tuple(
            ChannelRelease(_PYTHON, each.version, each.build or "") for each in self._pythons()
        )
        return {name: found if name == _PYTHON else () for name in names}

    def names(self, channels: tuple[str, ...], platform: str) -> tuple[str, ...]:
        """Return the one name that there is; see Solver."""
        del channels, platform
        return (_PYTHON,)

    def offered(self, request: SolveRequest) -> _Pythons:
        """Return the Pythons of this machine; see Solver."""
        del request
        return _Pythons(self._pythons())

    def carried(self, packages: Sequence[Package]) -> tuple[tuple[Carried, ...], ...]:
        """Return that no package carries a distribution; see Solver."""
        return tuple(() for _ in packages)

    def contents(self, packages: Sequence[Package]) -> tuple[Mapping[str, str], ...]:
        """Return that packages have no archive; see Solver."""
        return tuple({} for _ in packages)

    def described(self, archives: Sequence[ForeignArchive], say: Say) -> tuple[Package, ...]:
        """Refuse conda's archives; see Solver.

        Raises:
            InputError: there are some.
        """
        del say
        if archives:
            raise InputError(
                f"{len(archives)} conda packages are to be taken over, and the policy takes Python "
                'from this machine (python = "venv"): there is no conda that could link them.',
                'Take over what pip installs alone, or take Python from conda: python = "conda".',
            )
        return ()

    def matches(self, spec: CondaSpec, package: Package) -> bool:
        """Tell whether a Python satisfies a requirement; see Solver."""
        return _matches(str(replace(spec, channel="", subdir="")), package)

    def admits(self, requirement: str, version: str) -> bool:
        """Tell whether a requirement admits a version; see Solver."""
        return _matches(requirement, replace(machine_python(version), name=named_in(requirement)))

    def archives(self, packages: tuple[Package, ...], say: Say) -> tuple[Path, ...]:
        """Return none; see Linker."""
        del packages, say
        return ()

    def link(
        self, packages: tuple[Package, ...], prefix: Path, requested: tuple[str, ...], say: Say
    ) -> None:
        """Make a venv of the Python in `packages`, or of another patch release of it.

        Raises:
            ToolError: this machine has none, or it cannot make a venv.
            StorageError: the disk is full or not writable.
        """
        del requested
        minor = minor_of(packages[0].version)
        base = find_for_venv(minor, self._named)
        say(f"venv: of {base.executable}, Python {base.version}")
        make_venv(base, prefix, self._limit)


def _matches(requirement: str, package: Package) -> bool:
    record = bare_record(package.name, package.version, package.build or "0")
    return bool(rattler.MatchSpec(requirement.rpartition("::")[2]).matches(record))
