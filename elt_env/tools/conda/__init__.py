"""Conda: what the stages ask of it, and the tools that can do it."""

from elt_env.tools.conda.port import CondaTool, SolveRequest
from elt_env.tools.conda.rattler_tool import Rattler

__all__ = ["CondaTool", "Rattler", "SolveRequest"]
