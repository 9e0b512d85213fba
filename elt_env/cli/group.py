"""How every command ends: with a message and an exit code, never with a traceback."""

from __future__ import annotations

import io
import signal
import sys
from typing import Any

import click

from elt_env.cli.telling import tell
from elt_env.errors import EltEnvError
from elt_env.tools.masking import hidden


class Group(click.Group):
    """Turns an EltEnvError into its message and exit code, and Ctrl-C into 130."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        """Run the command; see the class."""
        # By default SIGTERM ends Python without its `finally`, and leaves tools running.
        signal.signal(signal.SIGTERM, _interrupt)
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that has no arrow is no reason to fail.
            sys.stdout.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except EltEnvError as error:
            tell(hidden(f"elt-env: {error}"))
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            tell("elt-env: interrupted; the same command takes it up again")
            ctx.exit(128 + signal.SIGINT)


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt
