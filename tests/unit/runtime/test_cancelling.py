"""Work in threads that ends when it is given up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from elt_env.runtime.cancelling import ended_by, go_on, meanwhile, side_by_side


def test_what_goes_on_meanwhile_has_ended_after_the_block() -> None:
    begun, told = threading.Event(), list[str]()

    def act() -> None:
        begun.set()
        told.append("done")

    with meanwhile(act):
        assert begun.wait(60)
    assert told == ["done"]


def test_what_fails_in_the_block_ends_what_goes_on_meanwhile() -> None:
    begun, ended = threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        try:
            while True:
                go_on()
                time.sleep(0.001)
        finally:
            ended.set()

    def interrupted() -> None:
        with meanwhile(act):
            assert begun.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended.is_set()


def test_what_fails_meanwhile_fails_nothing_else() -> None:
    def act() -> None:
        raise ValueError("not heard of")

    with meanwhile(act):
        pass


def test_what_is_given_up_above_ends_what_goes_on_side_by_side() -> None:
    above = threading.Event()

    def act(item: int) -> int:
        if item:
            above.set()
        go_on()
        return item

    with ended_by(above), pytest.raises(CancelledError):
        side_by_side(act, [1], 1)
