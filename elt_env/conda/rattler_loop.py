"""Run the coroutines of py-rattler, each to its end or its limit."""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_REST = 0.2  # seconds


class _Exit:
    """Holds the interpreter's exit back until py-rattler's threads have let go of what they did.

    One that still does so while the interpreter ends aborts the process.
    """

    def __init__(self) -> None:
        self._last_use = float("-inf")
        atexit.register(self._wait)

    def used(self) -> None:
        self._last_use = time.monotonic()

    def _wait(self) -> None:
        time.sleep(max(0.0, self._last_use + _REST - time.monotonic()))


_EXIT = _Exit()


def run_within(work: Coroutine[Any, Any, _Result], seconds: float) -> _Result:
    """Return what a coroutine returns.

    Raises:
        asyncio.TimeoutError: it took longer.
    """
    try:
        return asyncio.run(asyncio.wait_for(work, seconds))
    finally:
        _EXIT.used()
