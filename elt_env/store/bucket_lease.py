"""A lease in a bucket: an object that its holder renews, and that is free when nobody does.

No two clocks are compared: who waits measures on its own for how long the object has not changed. A
time in which the bucket did not answer does not count, since the holder could not renew it then. A
holder that was stopped for longer than the term may lose the lease without knowing: what it guards
moves by compare-and-swap besides.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Protocol

from elt_env.errors import BusyError, StorageError

_PAUSES = (0.02, 1.0)  # seconds between two looks, at first and at last
_RENEWALS = 4  # in a term
_FREE = b""


class _Bucket(Protocol):
    """What a lease needs of documents."""

    @property
    def term(self) -> float: ...

    def read(self, key: str) -> bytes: ...

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool: ...


@contextlib.contextmanager
def bucket_lease(
    bucket: _Bucket, key: str, limit: float, doing: str, remedy: str
) -> Iterator[None]:
    """Hold a lease in the block, as `Documents.lease`.

    Raises:
        BusyError: another one still holds it after `limit` seconds.
        StorageError: the bucket refuses, or does not answer.
    """
    lease = _Lease(bucket, key)
    waiter, deadline, pause = _Waiter(bucket, key), time.monotonic() + limit, _PAUSES[0]
    while not lease.take(waiter):
        if time.monotonic() >= deadline:
            raise BusyError(f"Another process has been {doing} for over {limit:.0f} s.", remedy)
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(2 * pause, _PAUSES[1])
    with lease.renewed():
        yield


class _Waiter:
    """Watches a lease that another one holds."""

    def __init__(self, bucket: _Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self._seen: bytes | None = None
        self._since = 0.0

    def held(self) -> tuple[bytes | None, bool]:
        """Return what the lease is now, and whether it is free."""
        asked, term = time.monotonic(), self._bucket.term
        try:
            held = self._bucket.read(self._key)
        except FileNotFoundError:
            return None, True
        if held == _FREE:
            return held, True
        now = time.monotonic()
        if held != self._seen or now - asked > term / _RENEWALS:
            self._seen, self._since = held, now
        return held, now - self._since > term


class _Lease:
    """A lease that is taken, renewed, and given back."""

    def __init__(self, bucket: _Bucket, key: str) -> None:
        self._bucket, self._key = bucket, key
        self._holder, self._count = uuid.uuid4().hex.encode(), 0
        self._ended = threading.Event()

    def take(self, waiter: _Waiter) -> bool:
        """Take the lease if it is free; return whether it was."""
        held, free = waiter.held()
        return free and self._bucket.swap(self._key, held, self._holder)

    @contextlib.contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the lease until the end of the block, and give it back then."""
        renewer = threading.Thread(target=self._renew, name=f"lease {self._key}", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            self._ended.set()
            renewer.join()
            with contextlib.suppress(StorageError, OSError):  # it runs out by itself
                self._become(_FREE)

    def _renew(self) -> None:
        held = True
        while held and not self._ended.wait(self._bucket.term / _RENEWALS):
            self._count += 1
            with contextlib.suppress(StorageError, OSError):
                held = self._become(b"%s %d" % (self._holder, self._count))

    def _become(self, new: bytes) -> bool:
        """Change the object while it is this holder's; return whether it was."""
        held = self._bucket.read(self._key)
        return held.startswith(self._holder) and self._bucket.swap(self._key, held, new)
