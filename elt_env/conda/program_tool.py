"""Conda through the program conda, mamba or micromamba."""

from __future__ import annotations

from pathlib import Path

import rattler

from elt_env.conda.channels import ChannelNames
from elt_env.conda.port import SolveRequest
from elt_env.conda.programs import Program, ProgramError, find_program
from elt_env.conda.rattler_tool import Rattler
from elt_env.conda.request_channel import RequestChannels
from elt_env.errors import CondaUnsatisfiableError, ToolError
from elt_env.machine.process import Say
from elt_env.machine.scratch import scratch_directory

_REMEDY = 'Set conda = "rattler" for this environment in [tool.elt-env].'


class ProgramTool(Rattler):
    """A conda tool of which a program solves.

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
            offered = self._offered(request)
            on_disk = RequestChannels(place / "channels", offered, request, found)
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
        if error.is_unsatisfiable:
            return CondaUnsatisfiableError(
                f"{self.name} finds no solution where rattler does: {error}", _REMEDY
            )
        return ToolError(f"{self.name} could not solve: {error}", _REMEDY)


def conda_tool(setting: str, cache: Path, names: ChannelNames | None, limit: float) -> Rattler:
    """Return the conda tool that a policy names; the arguments are those of ProgramTool.

    Raises:
        ToolError: its program is not there; the remedy says how to get it.
    """
    if setting == "rattler":
        return Rattler(cache, names, limit)
    return ProgramTool(find_program(setting, limit), cache, names, limit)
