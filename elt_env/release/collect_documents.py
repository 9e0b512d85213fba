"""Collect documents: bundles, and in a bucket what the files of one machine have no name for.

Nobody knows when another machine used a document last, so what counts is when it was written. A
bundle is written by who moves the release, and nobody does that meanwhile; records of images are
written and removed by one machine at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext

from elt_env.image.store import sole_recorder
from elt_env.store.collected import Item, What
from elt_env.store.documents import Aged, Documents
from elt_env.store.locks import Store

_LONGEST_WRITE = 3600.0  # seconds, after which a writer of small documents was killed


def collect_documents(
    store: Store, wanted: Collection[str], age: float, *, dry_run: bool
) -> Iterator[Item]:
    """Remove the bundles of unwanted locks; in a bucket also records of images, and leftovers.

    Args:
        store: in which nobody moves a release meanwhile.
        wanted: digests of the locks whose bundles and images stay.
        age: seconds ago; what was written since then stays.
        dry_run: whether nothing is removed.

    Raises:
        StorageError: something cannot be removed.
    """
    documents, names = store.documents, {each.removeprefix("sha256:") for each in wanted}

    def unwanted(folder: str) -> list[Aged]:
        found = documents.aged(folder, age)
        return [each for each in found if _digest(each.key) not in {*names, ""}]

    bundles = _removed(documents, unwanted("bundles"), dry_run=dry_run)
    yield from _item("bundles", "of locks that nobody refers to", bundles)
    if not store.shared:
        return
    with nullcontext() if dry_run else sole_recorder(documents):
        records = _removed(documents, unwanted("images"), dry_run=dry_run)
    yield from _item("records", "of images of locks that nobody refers to", records)
    left = [each for each in documents.aged("locks", max(age, _LONGEST_WRITE)) if each.unseen]
    yield from _item(
        "leftover", "half-written documents", _removed(documents, left, dry_run=dry_run)
    )


def _digest(key: str) -> str:
    """Return the hex digest of a lock that a document is named after; "" for none."""
    name = key.rpartition("/")[2].partition(".")[0]
    return name if len(name) == 64 else ""  # noqa: PLR2004  # hex digits of a sha256


def _removed(documents: Documents, found: Sequence[Aged], *, dry_run: bool) -> Sequence[Aged]:
    for each in () if dry_run else found:
        documents.delete(each.key)
    return found


def _item(what: What, of: str, found: Sequence[Aged]) -> Iterator[Item]:
    if found:
        yield Item(what, f"{len(found)} {of}", sum(each.size for each in found))
