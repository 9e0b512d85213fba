"""Conda through the program conda, mamba or micromamba."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import rattler

from elt_env.conda import rattler_errors
from elt_env.conda.carried import contents_of, read_archives
from elt_env.conda.channels import ChannelNames
from elt_env.conda.port import Linker, Solver, SolveRequest
from elt_env.conda.programs import Program, ProgramError, find_program
from elt_env.conda.rattler_client import open_client
from elt_env.conda.rattler_link import RattlerLinker, located_at
from elt_env.conda.rattler_tool import Rattler
from elt_env.conda.records import settle_records
from elt_env.conda.request_channel import RequestChannels
from elt_env.errors import CondaUnsatisfiableError, ToolError
from elt_env.lockfile.document import Package
from elt_env.machine.activation import is_link_script
from elt_env.machine.process import Say, end_of
from elt_env.machine.scratch import scratch_directory
from elt_env.runtime.files import writing

_SHOWN = 10  # lines
_REMEDY = 'Set conda = "rattler" for this environment in [tool.elt-env].'


class ProgramSolver(Rattler):
    """A program that solves; see Solver.

    Channels are read as by rattler. It is also asked first whether there is a solution, and says
    why where there is none; so every tool explains that alike.

    Args:
        program: the program.
        cache, names, limit: those of Rattler.
    """

    def __init__(
        self, program: Program, cache: Path, names: ChannelNames | None, limit: float
    ) -> None:
        super().__init__(cache, names, limit)
        self._program = program
        self.name = program.name

    def version(self) -> str:
        """Return the program's version."""
        return self._program.version

    def _records(
        self, request: SolveRequest, channels: list[rattler.Channel], say: Say
    ) -> list[rattler.RepoDataRecord]:
        found = super()._records(request, channels, say)
        asked = sorted({each.name for each in request.specs if not each.name.startswith("__")})
        with scratch_directory(self.name) as place:
            on_disk = RequestChannels(place / "channels", self.offered(request), request, found)
            try:
                linked = self._program.solve(
                    asked,
                    channels=on_disk.write(),
                    platform=request.platform,
                    # Strict priority has left one channel of each name.
                    priority="flexible" if request.priority == "flexible" else "disabled",
                    place=place,
                    say=say,
                )
            except ProgramError as error:
                raise self._failure(error) from error
            return [on_disk.record(each) for each in linked]

    def _failure(self, error: ProgramError) -> CondaUnsatisfiableError | ToolError:
        text = end_of(str(error), _SHOWN)
        if error.is_unsatisfiable:
            return CondaUnsatisfiableError(
                f"{self.name} finds no solution where rattler does: {text}", _REMEDY
            )
        return ToolError(f"{self.name} could not solve: {text}", _REMEDY)


class ProgramLinker(RattlerLinker):
    """A program that links what rattler downloads; see Linker.

    Args:
        program: the program.
        cache, limit: those of RattlerLinker.
    """

    def __init__(self, program: Program, cache: Path, limit: float) -> None:
        super().__init__(cache, limit)
        self._program = program

    def link(
        self, packages: tuple[Package, ...], prefix: Path, requested: tuple[str, ...], say: Say
    ) -> None:
        """Make `prefix` hold exactly `packages`; see Linker.

        Nothing that the program unpacks is kept: it would trust what it finds in its cache.
        """
        archives = self.archives(packages, say)
        scripted = self._with_scripts(list(map(located_at, packages, archives)))
        name = self._program.name
        if scripted:
            say(f"conda: rattler links, since {name} would run the scripts of {scripted}")
            super().link(packages, prefix, requested, say)
            return
        say(f"conda: linking {len(packages)} packages with {name}")
        with writing(self._cache):
            self._cache.mkdir(parents=True, exist_ok=True)
        hashes = [each.conda.md5 or "" if each.conda else "" for each in packages]
        with scratch_directory(name, self._cache) as place:
            try:
                self._program.link(zip(archives, hashes, strict=True), prefix, place, say)
            except ProgramError as error:
                raise rattler_errors.link(str(error), packages, prefix) from error
        settle_records(prefix, packages, requested)
        say(f"conda: linked {len(packages)} of {len(packages)} packages")

    def _with_scripts(self, packages: Sequence[Package]) -> str:
        """Return the names of packages that have a script that conda would run."""
        contents = read_archives(packages, contents_of(packages, open_client()), self._limit)
        found = [
            package.name
            for package, paths in zip(packages, contents, strict=True)
            if any(map(is_link_script, paths))
        ]
        return ", ".join(found)


def conda_tools(
    setting: str, cache: Path, names: ChannelNames | None, limit: float
) -> tuple[Solver, Linker]:
    """Return the conda tools that a policy names; the arguments are those of ProgramSolver.

    Raises:
        ToolError: their program is not there; the remedy says how to get it.
    """
    if setting == "rattler":
        return Rattler(cache, names, limit), RattlerLinker(cache, limit)
    program = find_program(setting, limit)
    return ProgramSolver(program, cache, names, limit), ProgramLinker(program, cache, limit)
