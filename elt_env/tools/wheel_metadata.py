"""What a wheel says about itself, read from its METADATA (core metadata specification)."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import default_environment
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from elt_env.errors import IntegrityError
from elt_env.model.names import normalize


@dataclass(frozen=True)
class WheelMetadata:
    """Name, version and requirements of a wheel.

    Attributes:
        requires: its Requires-Dist entries.
    """

    name: str
    version: str
    requires: tuple[Requirement, ...]

    def bound_on(self, name: str, python: str) -> SpecifierSet:
        """Return the bound it puts on the distribution `name` under that full Python version."""
        environment: dict[str, str] = {
            **{key: str(value) for key, value in default_environment().items()},
            "python_version": ".".join(python.split(".")[:2]),
            "python_full_version": python,
            "extra": "",
        }
        bound = SpecifierSet()
        for each in self.requires:
            applies = each.marker is None or each.marker.evaluate(environment)
            if normalize(each.name) == name and applies:
                bound &= each.specifier
        return bound


def read_wheel_metadata(wheel: Path) -> WheelMetadata:
    """Return what the wheel file says about itself.

    Raises:
        IntegrityError: it is no wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            entry = next(
                name
                for name in archive.namelist()
                if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
            )
            metadata = Metadata.from_email(archive.read(entry), validate=False)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise IntegrityError(
            f"{wheel.name} is not a wheel: it has no readable METADATA.",
            "If the index is trusted, make a new lock: elt-env relock",
        ) from error
    return WheelMetadata(
        normalize(metadata.name), str(metadata.version), tuple(metadata.requires_dist or ())
    )
