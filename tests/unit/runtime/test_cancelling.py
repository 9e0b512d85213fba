"""Work in threads that ends when it is given up."""

from __future__ import annotations

import threading
import time

import pytest

from elt_env.runtime.cancelling import go_on, meanwhile


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
