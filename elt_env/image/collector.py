"""Removes images, unpacked images and blobs of the layout that nobody refers to.

Nothing is remembered between the steps: what one that was killed left is found by the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from elt_env.environment.collecting import remove_file, remove_root
from elt_env.errors import IntegrityError
from elt_env.image import spec as oci
from elt_env.image.bases.base import blobs_of_record
from elt_env.image.oci.attachments import attachment
from elt_env.image.record import ImageRecord, sbom_name
from elt_env.image.spec import Descriptor
from elt_env.image.store import ImageStore
from elt_env.machine.users import in_use
from elt_env.package.canonical import short
from elt_env.store.collected import Item
from elt_env.store.last_use import used_since


class ImageCollector:
    """One collection in a store's images.

    Args:
        images: the images of the store.
        wanted: digests of the locks whose images stay.
        moment: what was used then or later stays as well, in seconds since the epoch.
        dry_run: whether nothing is removed.
    """

    def __init__(
        self, images: ImageStore, wanted: Collection[str], moment: float, *, dry_run: bool
    ) -> None:
        self._images = images
        self._layout = images.layout
        self._wanted = wanted
        self._moment = moment
        self._dry_run = dry_run

    def collect(self) -> Iterator[Item]:
        """Remove what is not wanted and yield it.

        Raises:
            IntegrityError: the record of an image or the index cannot be read.
            StorageError: something cannot be removed.
        """
        kept: dict[str, ImageRecord] = {}
        for digest in self._images.locks():
            record = self._images.image(digest, use=False)
            size = None if digest in self._wanted else self._remove_record(digest)
            if record is not None and size is None:
                kept[digest] = record
            elif record is not None and size is not None:
                yield Item("image", f"{record.name} of the lock {short(digest)}", size)
        yield from self._roots({each.digest for each in kept.values()})
        referred = self._drop_names(kept).union(*map(_blobs, kept.values()))
        yield from self._sweep(referred | self._remembered(referred))

    def _remove_record(self, lock_digest: str) -> int | None:
        """Remove what is kept of an image beside its blobs; None when it was used lately."""
        first, *others = self._images.record_files(lock_digest)
        size = self._remove(first)
        if size is None:
            return None
        return size + sum(self._remove(each) or 0 for each in others)

    def _remove(self, path: Path) -> int | None:
        return remove_file(path, self._moment, dry_run=self._dry_run)

    def _roots(self, live: Collection[str]) -> Iterator[Item]:
        """Remove what was unpacked, of live images too: it is unpacked again in seconds."""
        there = sorted(self._images.roots.glob("[!.]*"))
        busy = in_use(there)
        names = {short(each): "a kept image" for each in live}
        for path in there:
            if path not in busy:
                size = remove_root(path, self._moment, dry_run=self._dry_run)
                if size is not None:
                    whose = names.get(path.name, "an image that is gone")
                    yield Item("unpacked image", f"{path.name}, of {whose}", size)

    def _drop_names(self, kept: Mapping[str, ImageRecord]) -> set[str]:
        """Take out of the index what is not live; return the blobs that the rest refers to.

        The name of a target, and that of its SBOM, then lead to its newest image that stays, each
        in one rename: there is no moment at which they lead nowhere.
        """
        live = {each.digest for each in kept.values()}
        newest = {image.name: digest for digest, image in sorted(kept.items(), key=_age)}
        entries = {each.annotations.get(oci.REF_NAME, ""): each for each in self._layout.images()}
        referred: set[str] = set()
        for name, entry in entries.items():
            blobs, subject = self._parts(entry)
            recent = used_since(self._layout.blob_path(entry.digest), self._moment)
            owner = newest.get(name) or newest.get(name.removesuffix(sbom_name("")))
            if recent or entry.digest in live or subject in live:
                referred |= blobs
            elif owner is None or not self._lead_elsewhere(name, owner, kept[owner], referred):
                self._forget(name)
        return referred

    def _lead_elsewhere(
        self, name: str, lock_digest: str, image: ImageRecord, referred: set[str]
    ) -> bool:
        """Let the names of an image's target lead to it; return whether `name` is one that does."""
        sbom = self._images.sbom(image, lock_digest)
        if sbom is None and name != image.name:
            return False
        if not self._dry_run:
            self._images.lead_names(image, lock_digest)
        if sbom is not None:
            manifest, entry = attachment(image.manifest, sbom)
            referred |= {each.digest for each in (entry, manifest.config, *manifest.layers)}
        return True

    def _forget(self, name: str) -> None:
        if not self._dry_run:
            self._layout.forget(name)

    def _parts(self, entry: Descriptor) -> tuple[set[str], str]:
        """Return the blobs of an image or artifact, and the digest of what it belongs to."""
        try:
            manifest = oci.parse_manifest(self._layout.read(entry))
        except (IntegrityError, ValueError):
            return {entry.digest}, ""
        subject = manifest.subject.digest if manifest.subject else ""
        parts = (entry, manifest.config, *manifest.layers)
        return {each.digest for each in parts}, subject

    def _remembered(self, referred: Collection[str]) -> set[str]:
        """Drop what is remembered of unwanted layers and bases; return the blobs of the others."""
        found: set[str] = set()
        layers = ((path, {blob}) for path, blob in self._images.remembered_layers())
        bases = ((path, blobs_of_record(path)) for path in self._images.base_records())
        for path, blobs in (*layers, *bases):
            if blobs <= set(referred) or self._remove(path) is None:
                found |= blobs
        return found

    def _sweep(self, referred: Collection[str]) -> Iterator[Item]:
        sizes = [
            size
            for path in self._layout.blob_files()
            if f"sha256:{path.name}" not in referred and (size := self._remove(path)) is not None
        ]
        if sizes:
            yield Item("layers", f"{len(sizes)} blobs that nothing refers to", sum(sizes))


def _blobs(record: ImageRecord) -> set[str]:
    return {record.digest, *(each.blob.digest for each in record.layers)}


def _age(kept: tuple[str, ImageRecord]) -> datetime:
    return kept[1].at
