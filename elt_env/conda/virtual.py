"""The virtual packages that a solve may count on."""

from __future__ import annotations

import rattler
from rattler.package.build_string import BuildString

from elt_env.conda.port import SolveRequest


def virtual_packages(request: SolveRequest) -> list[rattler.GenericVirtualPackage]:
    """Return the virtual packages of a request: those it names, or else those of this machine."""
    if request.virtual is None:
        return [each.into_generic() for each in rattler.VirtualPackage.detect()]
    return [_virtual(name, *text.partition("=")[::2]) for name, text in request.virtual]


def _virtual(name: str, version: str, build: str) -> rattler.GenericVirtualPackage:
    return rattler.GenericVirtualPackage(
        rattler.PackageName(name), rattler.Version(version), BuildString(build or "0")
    )
