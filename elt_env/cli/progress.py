"""Progress of commands, shown to a person."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

import click

from elt_env.runtime.masking import hidden


def teller() -> Callable[[str], None]:
    """Return what prints a line to stderr, with the seconds since now before it."""
    start = time.monotonic()

    def say(line: str) -> None:
        tell(f"{time.monotonic() - start:6.1f} s  {hidden(line)}")

    return say


def tell(text: str) -> None:
    """Print to stderr; that its disk is full is no reason to stop, or to end in another way."""
    try:
        click.echo(text, err=True)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
