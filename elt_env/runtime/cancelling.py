"""Work in threads that ends when whoever started it gives it up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextvars import ContextVar
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_GIVEN_UP: ContextVar[tuple[threading.Event, ...]] = ContextVar("given_up", default=())


@contextlib.contextmanager
def ended_by(*events: threading.Event) -> Iterator[None]:
    """Let what this thread does inside the block end once one of the events is set."""
    token = _GIVEN_UP.set(events)
    try:
        yield
    finally:
        _GIVEN_UP.reset(token)


def go_on() -> None:
    """Return while this thread's work is wanted.

    Raises:
        CancelledError: it was given up.
    """
    if any(each.is_set() for each in _GIVEN_UP.get()):
        raise CancelledError("this was given up, since the run failed or was cancelled")


@contextlib.contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Run the block and, in a thread, `act`; afterwards both have ended.

    What fails in the block, or interrupts it, ends `act` too. What `act` raises, nobody hears of.
    """
    given_up = threading.Event()
    above = _GIVEN_UP.get()

    def attempt() -> None:
        with ended_by(given_up, *above):
            act()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(attempt)
        try:
            yield
        except BaseException:
            given_up.set()
            raise


def side_by_side(
    act: Callable[[_Item], _Result], items: Iterable[_Item], at_once: int, *, wait: bool = True
) -> list[_Result]:
    """Return what `act` returns for each item, in their order, done by so many threads.

    The first failure ends the others, and so does an interrupt; `wait` for them then.
    """
    given_up = threading.Event()
    above = _GIVEN_UP.get()

    def attempt(item: _Item) -> _Result:
        with ended_by(given_up, *above):
            return act(item)

    pool = ThreadPoolExecutor(at_once)
    try:
        running = [pool.submit(attempt, each) for each in items]
        for each in as_completed(running):
            each.result()
        return [each.result() for each in running]
    finally:
        given_up.set()
        pool.shutdown(wait=wait, cancel_futures=True)
