"""Run the coroutines of py-rattler, each to its end or its limit, and again where that helps."""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from elt_env.errors import TimeLimitError
from elt_env.machine.logins import Logins
from elt_env.machine.process import Say

_Result = TypeVar("_Result")
_REST = 0.2  # seconds
_WAITING_LIMIT = 900.0  # seconds that servers may ask for, all together
# Where nobody answers, a person waits for the fallback; a download is worth more.
TRIES = 2
DOWNLOAD_TRIES = 4


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


def finish(work: Coroutine[Any, Any, _Result], what: str, seconds: float) -> _Result:
    """Return what a coroutine returns; `what` tells a person what it is.

    Raises:
        TimeLimitError: it took longer.
    """
    try:
        return run_within(work, seconds)
    except asyncio.TimeoutError as error:
        raise TimeLimitError(
            f"{what} took longer than {seconds:.0f} s and was ended.",
            "Run it again, or raise tool-limit in [tool.elt-env].",
        ) from error


def patiently(work: Callable[[], _Result], say: Say, limit: float, tries: int = TRIES) -> _Result:
    """Return what `work` comes to; see `http_client.patiently`."""
    from elt_env.index import http_client  # slow to load

    waiting = min(limit, _WAITING_LIMIT)
    return http_client.patiently(work, logins=Logins(), tries=tries, limit=waiting, say=say)
