"""A release as an image, which is pulled, and the name in the local layout that leads to it."""

from __future__ import annotations

from dataclasses import dataclass

from elt_env.errors import InputError, IntegrityError
from elt_env.follow.form import Check, Position, require_passed
from elt_env.follow.machine import Machine
from elt_env.image.ensure import keep_pulled
from elt_env.image.oci import engines
from elt_env.image.push import pull_release
from elt_env.image.record import ImageRecord, image_name
from elt_env.image.spec import Descriptor
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.proof.prove import IMAGE_CHECKS, image_prover
from elt_env.release.record import Release

QUICK = ("image_format",)
"""The check that reads all of an image, and runs nothing."""


@dataclass(frozen=True)
class AsImage:
    """The form of a release that is an image.

    Attributes:
        check: what is proven before the local name moves.
        engine: the container engine that has it then too, as in `podman`; "" for none.
    """

    check: Check = "quick"
    engine: str = ""
    suffix: str = ".image.json"

    def stands(self, noted: Position, machine: Machine) -> bool:
        """Tell whether the image of what was noted is there, and the local name leads to it."""
        images = ImageStore(machine.own)
        try:
            image = images.image(noted.digest)
            named = images.layout.find(image_name(machine.target))
        except IntegrityError:
            return False
        blobs = [image.manifest, *(each.blob for each in image.layers)] if image else []
        return bool(image and named and named.digest == image.digest) and all(
            map(images.layout.has, blobs)
        )

    def bring(self, release: Release, machine: Machine, say: Say) -> None:
        """Pull the image, prove it, and let the local name lead to it. Raises as `Form`."""
        lock, images = machine.fetched(release), ImageStore(machine.own)
        image = keep_pulled(_pulled(release, machine, say), lock, images)
        if self.check != "none":
            names = IMAGE_CHECKS if self.check == "full" else QUICK
            require_passed(image_prover(lock, machine.tools, say).results(names), lock, say)
        if self.engine:
            engines.Engine(self.engine).load(images.layout, image.manifest, image.name, say)
        _switch(image, lock, machine)
        say(f"follow: {image.name} is now the image {image.digest}, release {release.number}")

    def tidy(self, digest: str, machine: Machine, say: Say) -> None:
        """Leave the images from before: `elt-env gc` removes them."""

    def place(self, machine: Machine) -> str:
        """Return the image's name, as tools that read OCI layouts take it."""
        return f"oci:{ImageStore(machine.own).layout.path}:{image_name(machine.target)}"


def _pulled(release: Release, machine: Machine, say: Say) -> Descriptor:
    """Return the image of a release, from where it is: a directory's layout, or a registry.

    Raises:
        InputError: it has none, or it is not said where it is.
        And as `Registry.pull`.
    """
    target, number, remedy = release.target, release.number, "or follow without --image."
    if release.image is None:
        raise InputError(
            f"Release {number} of {target} has no image.",
            f"Make one where it is built: elt-env build {target}; {remedy}",
        )
    here, there = (ImageStore(each).layout for each in (machine.own, machine.source))
    if entry := next((e for e in there.images() if e.digest == release.image), None):
        return here.copy(there, entry)
    if not release.repository:
        raise InputError(
            f"Release {number} of {target} names no registry that has its image.",
            f"Set 'push' of the environment where it is built, and release again; {remedy}",
        )
    policy = machine.tools.project.policy
    return pull_release(release.repository, release.image, policy, here, say)


def _switch(image: ImageRecord, lock: Lock, machine: Machine) -> None:
    """Let the local name lead to an image, in one rename."""
    ImageStore(machine.own).lead_names(image, lock.digest)
    machine.own.set_current(machine.target, lock.digest, machine.own.now())
