"""Python's search for garbage, put off while nothing but what stays is made."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Let no cyclic garbage be looked for while the block runs, nor later in what it has made.

    Each search goes through all that was made so far, which takes a quarter of the time in which
    hundreds of thousands of objects are made, and as much again of a short run that uses them.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
