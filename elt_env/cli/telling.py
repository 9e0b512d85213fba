"""How commands tell a person what goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from elt_env.tools.masking import hidden


def teller() -> Callable[[str], None]:
    """Return what prints a line to stderr, with the seconds since now before it."""
    start = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {hidden(line)}", err=True)

    return say
