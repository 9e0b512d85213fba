"""Skopeo: a second opinion on images."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import single_image
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say, clean_environment, end_of, run
from elt_env.runtime.files import sha256_of

_LAYOUT = "layout"
_COPY = "copy"


@dataclass(frozen=True)
class Skopeo:
    """The program skopeo.

    Attributes:
        limit: seconds that it may take.
    """

    limit: float

    @property
    def installed(self) -> bool:
        """Whether it is there."""
        return shutil.which("skopeo") is not None

    def copy(self, layout: Layout, manifest: Descriptor, name: str, place: Path, say: Say) -> str:
        """Let it inspect and copy an image of a layout; return the digest of the copy's manifest.

        The image is called `name` meanwhile, and `place`, which is empty, then holds the copy.

        Raises:
            ToolError: it refuses the image.
            TimeLimitError: it took too long.
            IntegrityError: the manifest cannot be read.
        """
        single_image(layout, manifest, name, place / _LAYOUT)
        source = f"oci:{_LAYOUT}:{name}"
        self._run(place, say, "inspect", "--no-tags", source)
        self._run(place, say, "--insecure-policy", "copy", "--quiet", source, f"dir:{_COPY}")
        return "sha256:" + sha256_of(place / _COPY / "manifest.json")

    def _run(self, place: Path, say: Say, *arguments: str) -> None:
        # Paths are relative: it takes what follows a colon for a tag.
        command = [shutil.which("skopeo") or "skopeo", *arguments]
        done = run(command, limit=self.limit, env=clean_environment(), cwd=place, merge=True)
        if done.returncode:
            say(f"skopeo: {done.stdout.strip()}")
            raise ToolError(
                f"skopeo does not take the image: {end_of(done.stdout.strip(), 5)}",
                "Pack the image again.",
            )
