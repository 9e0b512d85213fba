"""The layers of an image that are made here: one for each group of packages, and the project's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from elt_env.environment.conda_meta import HISTORY
from elt_env.environment.file_list import list_path
from elt_env.environment.prefix import Prefix
from elt_env.image import source as image_source
from elt_env.image.files import PackageFiles
from elt_env.image.layering import LAYERING, LayerPlan, Owner
from elt_env.image.oci.layer import LayerWriter, compressor_version, write_layer
from elt_env.image.packing import FORMAT, Packer, history
from elt_env.image.spec import Layer
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of
from elt_env.project.project import Project
from elt_env.runtime.cancelling import side_by_side
from elt_env.runtime.files import sha256_of

_AT_ONCE = 2
_PYTHON = Owner("conda", "python")


class LayerJob:
    """A layer of packages that may have to be written."""

    def __init__(
        self, plan: LayerPlan, files: Sequence[PackageFiles], prefix: Prefix, project: Project
    ) -> None:
        self.plan = plan
        self.files = files
        self.size = sum(each.size for each in files)
        self._prefix = prefix
        self._place = project.policy.image_path
        self._compression = project.policy.image_compression
        self.key = self._key(project)

    def _key(self, project: Project) -> str:
        """Return a digest of all that the content of the layer depends on."""
        lock = self._prefix.lock
        return digest_of(
            {
                **_made_with(self._prefix, project),
                "packages": [_identity(lock, each) for each in self.plan.owners],
                "target": lock.target.name if _PYTHON in self.plan.owners else None,
                "history": history(lock).decode() if self._holds(HISTORY) else None,
                "lost": [[each.owner.name, each.lost] for each in self.files if each.lost],
            }
        )

    def _holds(self, name: str) -> bool:
        return any(name in each.sealed for each in self.files)

    def write(self, images: ImageStore, say: Say) -> Layer:
        """Write the layer and remember it."""
        start = time.monotonic()
        packer = Packer(self._prefix, self._place)
        fill = partial(packer.pack, self.files)
        layer = write_layer(images.layout, self._compression, self.plan.holds, fill)
        images.keep_layer(self.key, layer)
        say(
            f"layer {self.plan.holds}: {megabytes(self.size)} became "
            f"{megabytes(layer.blob.size)} in {time.monotonic() - start:.1f} s"
        )
        return layer


def _made_with(prefix: Prefix, project: Project) -> dict[str, object]:
    """Return what every layer of packages depends on, whichever these are."""
    compression = project.policy.image_compression
    return {
        "format": FORMAT,
        "platform": prefix.lock.target.platform,
        "place": project.policy.image_path,
        "compression": [compression, compressor_version(compression)],
        "installer": project.environment(prefix.lock.target.environment).installer,
        "python": _interpreter(prefix),
    }


def prefix_question(prefix: Prefix, project: Project) -> str:
    """Return a digest of all that the layers of a prefix depend on; "" without its list of files.

    Whatever its files are, they are those of the list.

    Raises:
        PolicyError: SOURCE_DATE_EPOCH is not a number of seconds.
    """
    lock, listed = prefix.lock, list_path(prefix.path)
    if not listed.is_file():
        return ""
    how = [_made_with(prefix, project), LAYERING, history(lock).decode()]
    return digest_of([lock.digest, sha256_of(listed), how])


def _interpreter(prefix: Prefix) -> list[str | None]:
    """Return what tells the interpreter from others: compiled modules are for it alone."""
    if prefix.lock.interpreter:
        return ["venv", prefix.interpreter_digest]
    return _identity(prefix.lock, _PYTHON)


def _identity(lock: Lock, owner: Owner) -> list[str | None]:
    package = lock.package(owner.manager, owner.name)
    return [owner.manager, owner.name, package.version, package.build, package.sha256]


def megabytes(size: int) -> str:
    """Return a size for a person."""
    return f"{size / 1e6:.1f} MB"


def write_all(jobs: Sequence[LayerJob], images: ImageStore, say: Say) -> list[Layer]:
    """Return the layers of the jobs in their order, written two at a time, the largest first."""
    ordered = sorted(jobs, key=lambda job: -job.size)
    layers = side_by_side(lambda job: job.write(images, say), ordered, _AT_ONCE)
    made = dict(zip(ordered, layers, strict=True))
    return [made[job] for job in jobs]


def project_layer(project: Project, images: ImageStore) -> tuple[Layer, bool]:
    """Return the layer of the project's own directories, and whether it was written now."""
    root, compression = project.root, project.policy.image_compression
    files = image_source.project_files(root)
    content = image_source.project_digest(root, files)
    key = digest_of([FORMAT, content, compression, compressor_version(compression)])
    known = images.known_layer(key)
    if known is not None:
        return known, False
    holds = "project: " + (", ".join(image_source.PROJECTS) if files else "none here")

    def fill(layer: LayerWriter) -> None:
        image_source.pack_project(root, files, layer)

    layer = write_layer(images.layout, compression, holds, fill)
    images.keep_layer(key, layer)
    return layer, True
