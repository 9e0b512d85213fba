"""Limits of a push or a pull: its time, its retries, and whether it resumes."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from elt_env.errors import TimeLimitError
from elt_env.image.oci.registry_errors import PassingError, unreachable
from elt_env.machine.process import Say

_ATTEMPTS = 5
_LONGEST = 60.0  # seconds between two attempts, unless the registry asks for more

_T = TypeVar("_T")


class Effort:
    """The patience of one push or pull, shared by its threads.

    Args:
        what: is done, for messages, as in `pushing to registry.example/team/elt`.
        host: the registry.
        limit: seconds it may take.
        backoff: seconds before the second attempt; they double with every further one.
    """

    def __init__(self, what: str, host: str, limit: float, backoff: float, say: Say) -> None:
        self._what = what
        self._host = host
        self._limit = limit
        self._backoff = backoff
        self._say = say
        self._end = time.monotonic() + limit
        self._stopped = threading.Event()

    def left(self) -> float:
        """Return how many seconds are left.

        Raises:
            TimeLimitError: none.
            InterruptedError: another thread failed, or the run was cancelled.
        """
        if self._stopped.is_set():
            raise InterruptedError("another blob failed, or the run was cancelled")
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeLimitError(
                f"{self._what[0].upper()}{self._what[1:]} took longer than {self._limit:g} s.",
                "Run the same command again, which goes on with what is missing; "
                "or raise tool-limit in [tool.elt-env].",
            )
        return left

    def stop(self) -> None:
        """Let the other threads end soon."""
        self._stopped.set()

    def pause(self, failures: int, trouble: PassingError) -> None:
        """Wait before the attempt after so many failures in a row.

        Raises:
            RegistryError: there were enough.
            TimeLimitError, InterruptedError: as `left`.
        """
        left = self.left()
        if failures >= _ATTEMPTS:
            raise unreachable(self._host, f"{trouble.cause}; {_ATTEMPTS} attempts") from trouble
        longest = min(self._backoff * 2 ** (failures - 1), _LONGEST)
        # Jitter, lest all who were cut off together come back together.
        seconds = trouble.pause or longest * random.uniform(0.5, 1)  # noqa: S311
        self._say(f"registry: {self._host}: {trouble.cause}; trying again in {seconds:.1f} s")
        self._stopped.wait(min(seconds, left))
        self.left()

    def persistently(self, act: Callable[[], _T]) -> _T:
        """Return what `act` returns, tried again while its failure may pass.

        Raises:
            RegistryError, TimeLimitError: it did not pass.
            And what `act` raises.
        """
        for failures in itertools.count(1):
            self.left()
            try:
                return act()
            except PassingError as trouble:
                self.pause(failures, trouble)
        raise AssertionError
