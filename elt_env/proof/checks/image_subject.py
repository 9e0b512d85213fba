"""Checks on an image, and the image that they look at."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from elt_env.environment.prefix import Prefix
from elt_env.environment.scratch_dir import ScratchDir
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.project.policy import Policy
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding
from elt_env.runtime.files import writing

WORK = "/work"
"""Where the directory of a run is seen in the image."""


@dataclass(frozen=True)
class ImageUnderTest:
    """An image in a layout.

    Attributes:
        prefix: what it was packed from.
        manifest: what names it.
        read: digest and diff_id of each layer that a check of this run has read whole.
    """

    prefix: Prefix
    manifest: Descriptor
    layout: Layout
    read: set[tuple[str, str]] = field(default_factory=set, compare=False)


ImageCheck = Callable[[ImageUnderTest, CheckTools, Say], Finding]


def seen_in_image(prefix: Prefix, policy: Policy, place: ScratchDir) -> Callable[[str], str]:
    """Return what tells how a text with paths of this machine reads in the image."""

    def seen(text: str) -> str:
        own = text.replace(str(place.path), WORK)
        return own.replace(str(prefix.path), policy.image_path)

    return seen


def hand_over(place: Path, owner: tuple[int, int] | None) -> None:
    """Let the image's user write to everything below a directory; what goes meanwhile is gone."""
    with writing(place):
        for directory, _, files in os.walk(place):
            for each in (Path(directory), *(Path(directory, name) for name in files)):
                with contextlib.suppress(FileNotFoundError):
                    _hand_over(each, owner)


def _hand_over(path: Path, owner: tuple[int, int] | None) -> None:
    if owner is None and not path.is_symlink():
        path.chmod(0o777)  # an engine's user may be anyone here
    elif owner is not None and os.geteuid() == 0:
        os.lchown(path, *owner)
