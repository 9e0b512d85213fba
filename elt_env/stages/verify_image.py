"""Whether an image in the store is as it was packed, and how it is made so again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from elt_env.errors import IntegrityError
from elt_env.model.damage import Damage
from elt_env.model.image import ImageRecord, own_name
from elt_env.model.lock import Lock
from elt_env.model.oci import REF_NAME, Descriptor, parse_manifest
from elt_env.stages.build import ensure_prefix
from elt_env.stages.pack import pack
from elt_env.tools.files import remove_tree, writing
from elt_env.tools.image_store import ImageStore
from elt_env.tools.oci.attachments import attach
from elt_env.tools.oci.layout import INDEX
from elt_env.tools.oci.layout_check import blob_damage, file_fault, layout_damages
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox


def image_damages(lock: Lock, home: Path, say: Say) -> Iterator[Damage]:
    """Yield what of a lock's image is not as it was made; nothing where it was never packed.

    Every file of the image is read, and what all images of the layout share.
    """
    images = ImageStore(home)
    try:
        image = images.image(lock.digest)
    except IntegrityError:
        yield Damage("image", images.record_files(lock.digest)[0].name, "was changed")
        return
    if image is None:
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

    The lock's own name leads to its image, and that of the target to the image of one of its locks.
    """
    try:
        named = {each.annotations.get(REF_NAME): each for each in images.layout.images()}
    except IntegrityError:
        yield Damage("image", INDEX, "was changed")
        return
    own, found = named.get(own_name(image.name, lock.digest)), named.get(image.name)
    known = {each.digest for each in images.records()}
    if own is None or own.digest != image.digest or found is None or found.digest not in known:
        there = (images.layout.path / INDEX).exists()
        yield Damage("image", INDEX, "was changed" if there else "is gone")


def _sbom_damages(image: ImageRecord, lock: Lock, images: ImageStore) -> Iterator[Damage]:
    """Yield what is wrong with the SBOM, as a file and as an artifact where a name leads to it."""
    if image.sbom is None:
        return  # packed before that was noted
    path = images.sbom_path(lock.digest)
    fault = file_fault(path, image.sbom.digest)
    if fault:
        yield Damage("image", path.name, fault)
    with contextlib.suppress(IntegrityError):  # of the index, which is named already
        entry = images.layout.find(f"{image.name}.sbom")
        if entry is None:
            yield Damage("image", INDEX, "was changed")
        elif found := blob_damage(images.layout, entry):
            yield found
        else:
            yield from _artifact_damages(image, image.sbom, entry, images)


def _artifact_damages(
    image: ImageRecord, sbom: Descriptor, entry: Descriptor, images: ImageStore
) -> Iterator[Damage]:
    manifest = parse_manifest(images.layout.read(entry))
    subject = manifest.subject.digest if manifest.subject else ""
    if subject != image.digest:  # that of another lock's image, which was packed later
        if subject not in {each.digest for each in images.records()}:
            yield Damage("image", INDEX, "was changed")
        return
    if [each.digest for each in manifest.layers] != [sbom.digest]:
        yield Damage("image", INDEX, "was changed")
    for each in (manifest.config, *manifest.layers):
        if found := blob_damage(images.layout, each):
            yield found


def repair_image(lock: Lock, damages: Sequence[Damage], toolbox: Toolbox, say: Say) -> None:
    """Pack the image again; what is whole of it is used again, what is damaged is dropped.

    Raises: as `ensure_prefix` and `pack`.
    """
    images = ImageStore(toolbox.store.home)
    ensure_prefix(lock, toolbox, say)
    for each in damages:
        say(f"repair: {each.path} of the image")
        path = _place(each, lock, images)
        with writing(path):
            if each.fault == "has other permissions":
                path.chmod(0o644)
            elif path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)
    if INDEX in {each.path for each in damages}:
        _name_again(images)
    pack(lock, toolbox, say)


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
        images.layout.name(image.name, image.manifest)
        sbom = images.sbom_path(digest)
        if image.sbom and file_fault(sbom, image.sbom.digest) is None:
            name = f"{image.name}.sbom"
            attach(images.layout, image.manifest, sbom.read_bytes(), name=name)


def _read(digest: str, images: ImageStore) -> ImageRecord | None:
    try:
        return images.image(digest, use=False)
    except IntegrityError:
        return None
