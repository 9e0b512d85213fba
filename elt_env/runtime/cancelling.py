"""Work in threads that ends when whoever started it gives it up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextvars import ContextVar

_GIVEN_UP: ContextVar[threading.Event | None] = ContextVar("given_up", default=None)


@contextlib.contextmanager
def ended_by(event: threading.Event) -> Iterator[None]:
    """Let what this thread does inside the block end once `event` is set."""
    token = _GIVEN_UP.set(event)
    try:
        yield
    finally:
        _GIVEN_UP.reset(token)


def go_on() -> None:
    """Return while this thread's work is wanted.

    Raises:
        CancelledError: it was given up.
    """
    event = _GIVEN_UP.get()
    if event is not None and event.is_set():
        raise CancelledError("this was given up, since the run failed or was cancelled")
