"""Conda: what a tool of it is asked. The tools are loaded where one is chosen."""

from elt_env.conda.port import Carried, ChannelRelease, CondaTool, LeftOut, Offered, SolveRequest

__all__ = [
    "Carried",
    "ChannelRelease",
    "CondaTool",
    "LeftOut",
    "Offered",
    "SolveRequest",
]
