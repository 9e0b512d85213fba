"""Checks on an image, and the image that they look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from elt_env.environment.prefix import Prefix
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.proof.checks.finding import Finding
from elt_env.toolbox import Toolbox


@dataclass(frozen=True)
class ImageUnderTest:
    """An image in a layout.

    Attributes:
        prefix: what it was packed from.
        manifest: what names it.
    """

    prefix: Prefix
    manifest: Descriptor
    layout: Layout


ImageCheck = Callable[[ImageUnderTest, Toolbox, Say], Finding]
