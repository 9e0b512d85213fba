"""The conda subdir of this machine, which names its platform: `linux-64`."""

from __future__ import annotations

import os
import sys

from elt_env.package.target import Target

_SYSTEMS = {"darwin": "osx"}
_ARCHITECTURES = {"x86_64": "64"}  # all others have the kernel's names


def this_platform() -> str:
    """Return the subdir of this machine (CEP 26); rattler knows it too, but is slow to load."""
    machine = os.uname().machine
    return f"{_SYSTEMS.get(sys.platform, sys.platform)}-{_ARCHITECTURES.get(machine, machine)}"


def target_here(environment: str, python: str) -> Target:
    """Return an environment's target on this machine."""
    return Target(environment, python, this_platform())
