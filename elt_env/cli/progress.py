"""Progress of commands, shown to a person."""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING

import click

from elt_env.runtime.masking import hidden

if TYPE_CHECKING:
    from elt_env.machine.process import Say


def teller() -> Say:
    """Return what prints a line to stderr, with the seconds since now before it."""
    from elt_env.machine.process import marked  # slow to load, and the list of commands is not

    start = time.monotonic()

    def say(line: str, level: int = logging.INFO, /) -> None:
        tell(f"{time.monotonic() - start:6.1f} s  {marked(hidden(line), level)}")

    return say


def tell(text: str) -> None:
    """Print to stderr; that its disk is full is no reason to stop, or to end in another way."""
    try:
        click.echo(text, err=True)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
