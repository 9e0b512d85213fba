"""Environment markers (PEP 508), evaluated for the Python of a lock."""

from __future__ import annotations

from packaging.markers import default_environment
from packaging.requirements import Requirement


def applies(requirement: Requirement, python: str) -> bool:
    """Tell whether a requirement counts under a full Python version, no extra being asked for.

    What a marker asks of the platform is answered for this machine.
    """
    if requirement.marker is None:
        return True
    machine = {name: str(value) for name, value in default_environment().items()}
    minor = ".".join(python.split(".")[:2])
    asked = {"python_version": minor, "python_full_version": python, "extra": ""}
    return requirement.marker.evaluate({**machine, **asked})
