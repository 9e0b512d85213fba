"""Conda: what tools of it are asked. The tools are loaded where they are chosen."""

from elt_env.conda.port import (
    Carried,
    ChannelReader,
    ChannelRelease,
    LeftOut,
    Linker,
    Offered,
    Solver,
    SolveRequest,
)

__all__ = [
    "Carried",
    "ChannelReader",
    "ChannelRelease",
    "LeftOut",
    "Linker",
    "Offered",
    "SolveRequest",
    "Solver",
]
