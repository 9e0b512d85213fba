"""A resolve that began before anybody asked for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from elt_env.machine.process import Say
from elt_env.pip.port import Resolved, ResolveRequest

_Resolve = Callable[[ResolveRequest, Say], tuple[Resolved, ...]]


class Begun:
    """A resolve in a thread of its own, which nobody hears of before it is asked for.

    Attributes:
        request: what is resolved.
    """

    def __init__(self, request: ResolveRequest, resolve: _Resolve) -> None:
        self.request = request
        self._said: list[tuple[str, int]] = []
        self._answer: Future[tuple[Resolved, ...]] = Future()
        threading.Thread(target=self._work, args=(resolve,), daemon=True).start()

    def _work(self, resolve: _Resolve) -> None:
        try:
            self._answer.set_result(resolve(self.request, self._hear))
        except BaseException as error:  # noqa: BLE001  # whoever waits would wait for ever
            self._answer.set_exception(error)

    def _hear(self, line: str, level: int = logging.INFO, /) -> None:
        self._said.append((line, level))

    def answer(self, say: Say) -> tuple[Resolved, ...]:
        """Wait for the answer and return it, or raise what the resolve raised."""
        try:
            return self._answer.result()
        finally:
            for line, level in self._said:
                say(line, level)
