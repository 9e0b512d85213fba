"""Conda: what it is asked, and the tools that can do it."""

from elt_env.conda.port import Carried, ChannelRelease, CondaTool, LeftOut, Offered, SolveRequest
from elt_env.conda.rattler_tool import Rattler, this_platform

__all__ = [
    "Carried",
    "ChannelRelease",
    "CondaTool",
    "LeftOut",
    "Offered",
    "Rattler",
    "SolveRequest",
    "this_platform",
]
