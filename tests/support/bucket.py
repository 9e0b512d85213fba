"""Documents in a bucket that is this process's memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from obstore.store import MemoryStore, ObjectStore

from elt_env.store.bucket import BucketDocuments


@dataclass(frozen=True)
class MemoryDocuments(BucketDocuments):
    """A bucket of its own."""

    bucket: ObjectStore = field(default_factory=MemoryStore)
    url: str = "memory://"
    term: float = 1.0
