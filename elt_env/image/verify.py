"""Compare an image in the store with what was packed, and restore it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from elt_env.environment.build import ensure_prefix
from elt_env.environment.damage import Damage
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.errors import IntegrityError
from elt_env.image.config import LOCK_DIGEST
from elt_env.image.oci.layout import INDEX, blob_damage, file_fault, layout_damages
from elt_env.image.pack import pack
from elt_env.image.record import ImageRecord, own_name, sbom_name
from elt_env.image.spec import REF_NAME, Descriptor, Manifest, parse_manifest
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.runtime.files import remove, writing
from elt_env.store.locks import Store


def image_damages(lock: Lock, store: Store, say: Say) -> Iterator[Damage]:
    """Yield what of a lock's image is not as it was made; nothing where it was never packed.

    Every file of the image is read, and what all images of the layout share.
    """
    images = ImageStore(store)
    try:
        image = images.image(lock.digest)
    except IntegrityError:
        yield Damage("image", images.record_files(lock.digest)[0].name, "was changed")
        return
    if image is None:
        return
    if not images.is_here(lock.digest):
        say(f"verify: {image.name} was packed on another machine, so there is nothing to compare")
        return
    say(f"verify: reading the {len(image.layers)} layers of {image.name}")
    yield from layout_damages(images.layout)
    yield from _name_damages(image, lock, images)
    yield from _sbom_damages(image, lock, images)
    if images.layout.intact(image.manifest):
        manifest = parse_manifest(images.layout.read(image.manifest))
        blobs = [image.manifest, manifest.config, *manifest.layers]
    else:
        blobs = [image.manifest, *(each.blob for each in image.layers)]
    yield from (found for each in blobs if (found := blob_damage(images.layout, each)))


def _name_damages(image: ImageRecord, lock: Lock, images: ImageStore) -> Iterator[Damage]:
    """Yield what is wrong with the index.

    The lock's own name leads to its image, and that of the target to the image of one of its locks;
    be it to one that was packed a moment ago, and whose record was not written any more.
    """
    try:
        named = {each.annotations.get(REF_NAME): each for each in images.layout.images()}
    except IntegrityError:
        yield Damage("image", INDEX, "was changed")
        return
    own, found = named.get(own_name(image.name, lock.digest)), named.get(image.name)
    is_own = own is not None and (
        image.digest == own.digest or lock.digest == _lock_of(own, images)
    )
    if not is_own or found is None or not _is_image(found, images):
        there = (images.layout.path / INDEX).exists()
        yield Damage("image", INDEX, "was changed" if there else "is gone")


def _is_image(entry: Descriptor, images: ImageStore) -> bool:
    known = {each.digest for each in images.records()}
    return entry.digest in known or bool(_lock_of(entry, images))


def _lock_of(entry: Descriptor, images: ImageStore) -> str:
    """Return the digest of the lock that an image says it is of; "" for none that is whole."""
    if not images.layout.intact(entry):
        return ""
    return parse_manifest(images.layout.read(entry)).annotations.get(LOCK_DIGEST, "")


def _sbom_damages(image: ImageRecord, lock: Lock, images: ImageStore) -> Iterator[Damage]:
    """Yield what is wrong with the SBOM, as a file and as an artifact where a name leads to it."""
    if image.sbom is None:
        return  # packed before that was noted
    wanted = {image.sbom.digest}
    with contextlib.suppress(IntegrityError):  # of the index, which is named already
        entry = images.layout.find(sbom_name(image.name))
        if entry is None:
            yield Damage("image", INDEX, "was changed")
        elif found := blob_damage(images.layout, entry):
            yield found
        else:
            artifact = parse_manifest(images.layout.read(entry))
            yield from _artifact_damages(image, image.sbom, artifact, images)
            if artifact.subject and _lock_of(artifact.subject, images) == lock.digest:
                wanted |= {each.digest for each in artifact.layers}
    path = images.sbom_path(lock.digest)
    faults = [file_fault(path, each) for each in sorted(wanted)]
    if all(faults):
        yield Damage("image", path.name, faults[0] or "was changed")


def _artifact_damages(
    image: ImageRecord, sbom: Descriptor, artifact: Manifest, images: ImageStore
) -> Iterator[Damage]:
    if artifact.subject is None or artifact.subject.digest != image.digest:
        # That of another image, of another lock or packed later.
        if artifact.subject is None or not _is_image(artifact.subject, images):
            yield Damage("image", INDEX, "was changed")
        return
    if [each.digest for each in artifact.layers] != [sbom.digest]:
        yield Damage("image", INDEX, "was changed")
    for each in (artifact.config, *artifact.layers):
        if found := blob_damage(images.layout, each):
            yield found


def repair_image(lock: Lock, damages: Sequence[Damage], tools: PrefixTools, say: Say) -> None:
    """Pack the image again; what is whole of it is used again, what is damaged is dropped.

    Raises: as `ensure_prefix` and `pack`.
    """
    images = ImageStore(tools.store)
    ensure_prefix(lock, tools, say)
    for each in damages:
        say(f"repair: {each.path} of the image")
        path = _place(each, lock, images)
        if each.fault != "has other permissions":
            remove(path)
            continue
        with writing(path):
            path.chmod(0o644)
    if INDEX in {each.path for each in damages}:
        _name_again(images)
    pack(lock, tools.project, tools.store, say)


def _place(damage: Damage, lock: Lock, images: ImageStore) -> Path:
    if damage.path.startswith("sha256:"):
        return images.layout.blob_path(damage.path)
    beside = {each.name: each for each in images.record_files(lock.digest)}
    return beside.get(damage.path, images.layout.path / damage.path)


def _name_again(images: ImageStore) -> None:
    """Write the index anew, of what is recorded of every image, the newest of a target last."""
    records = {digest: record for digest in images.locks() if (record := _read(digest, images))}
    for digest, image in sorted(records.items(), key=lambda each: each[1].at):
        images.layout.name(own_name(image.name, digest), image.manifest)
        images.lead_names(image, digest)


def _read(digest: str, images: ImageStore) -> ImageRecord | None:
    try:
        return images.image(digest, use=False)
    except IntegrityError:
        return None
