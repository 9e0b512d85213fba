"""Read a wheel's METADATA (core metadata specification)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from elt_env.python.wheel import open_wheel


@dataclass(frozen=True)
class WheelMetadata:
    """Name, version and requirements of a wheel.

    Attributes:
        requires: its Requires-Dist entries.
        requires_python: its bound on Python (PEP 440), or None.
    """

    name: str
    version: str
    requires: tuple[Requirement, ...]
    requires_python: str | None = None


def read_wheel_metadata(path: Path) -> WheelMetadata:
    """Return what the wheel file says about itself.

    Raises:
        IntegrityError: it is not a wheel, or a damaged one.
    """
    with open_wheel(path) as wheel:
        lines = wheel.metadata.get("requires_dist", [])
        requires = tuple(Requirement(line) for line in lines)
        python = wheel.metadata.get("requires_python")
        return WheelMetadata(wheel.name, wheel.version, requires, python)
