"""Targets on the platform of this machine."""

from __future__ import annotations

from elt_env.package.platform import this_platform
from elt_env.package.target import Target

__all__ = ["target_here", "this_platform"]


def target_here(environment: str, python: str, platform: str = "") -> Target:
    """Return an environment's target on this machine, or on another platform."""
    return Target(environment, python, platform or this_platform())
