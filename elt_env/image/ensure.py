"""Have the image of a lock on this machine, be it packed on another one."""

from __future__ import annotations

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import IntegrityError, NetworkError
from elt_env.image.config import LOCK_DIGEST
from elt_env.image.oci.reader import read_image
from elt_env.image.pack import attach_sbom, pack
from elt_env.image.push import pull_candidate
from elt_env.image.record import ImageRecord, image_name, own_name
from elt_env.image.spec import Descriptor
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.runtime.clock import utc_now
from elt_env.store.locks import Store


def ensure_image(lock: Lock, tools: PrefixTools, say: Say) -> None:
    """Return when a lock's image that was packed elsewhere is here, with its prefix.

    It comes from where the policy pushes images to; else it is packed again, which may be another
    image where the base is one of this machine. An image that was never packed stays away.

    Raises: as `ensure_prefix` and `pack`.
    """
    images = ImageStore(tools.store)
    image = images.image(lock.digest)
    if image is None or images.is_here(lock.digest):
        return
    ensure_prefix(lock, tools, say)
    try:
        pulled = pull_candidate(lock, image, tools.project, tools.store, say)
    except NetworkError as error:
        say(f"image: {error.problem}")
        pulled = False
    if pulled:
        _name(image, lock, tools.store)
    else:
        say(f"image: {image.name} was packed on another machine; packing it here")
        pack(lock, tools.project, tools.store, say)


def _name(image: ImageRecord, lock: Lock, store: Store) -> None:
    """Let a pulled image be known here as `write_image` leaves it."""
    images = ImageStore(store)
    attach_sbom(lock, image.manifest, image.base_packages, store)
    images.layout.name(own_name(image.name, lock.digest), image.manifest)
    images.lead_names(image, lock.digest)
    images.record(image, lock.digest)


def keep_pulled(manifest: Descriptor, lock: Lock, images: ImageStore) -> ImageRecord:
    """Keep an image of a layout as that of a lock; the names of the target lead elsewhere yet.

    Raises:
        IntegrityError: it is malformed, or of another lock.
        StorageError: the disk is full or not writable.
    """
    image = read_image(images.layout, manifest)
    found = image.config.labels.get(LOCK_DIGEST)
    if found != lock.digest:
        raise IntegrityError(
            f"The image {manifest.digest} is of the lock {found}, not of {lock.digest}.",
            f"Release again where it is built: elt-env build {lock.target.name}",
        )
    name, base = image_name(lock.target), "the base that it was packed on elsewhere"
    record = ImageRecord(name, manifest, base, (), image.layers, (), utc_now())
    images.layout.name(own_name(name, lock.digest), manifest)
    images.record(record, lock.digest)
    return record
