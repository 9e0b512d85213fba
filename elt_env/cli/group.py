"""End every command with a message and an exit code, never with a traceback."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from elt_env.cli.progress import tell
from elt_env.errors import EltEnvError, IntegrityError
from elt_env.runtime.collection import without_collection
from elt_env.runtime.input_files import cause
from elt_env.runtime.masking import hidden

Commands = Mapping[str, tuple[str, str]]


class Group(click.Group):
    """Turns an EltEnvError into its message and exit code, and Ctrl-C into 130.

    A command's module is loaded when it is called: to load them all takes longer than most of them.

    Args:
        commands_of: by name, `module:function` in this package, and what the command is for.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  # click's signature
        commands_of: Commands,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self.commands_of = commands_of

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        del ctx
        return sorted(self.commands_of)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command, None where there is none of that name; then call the context's object."""
        if cmd_name not in self.commands_of:
            return None
        module, _, function = self.commands_of[cmd_name][0].partition(":")
        with without_collection():
            command = getattr(import_module(f"elt_env.cli.{module}"), function)
        if ctx.obj is not None:
            ctx.obj()
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line for each command, without loading any."""
        rows = [(name, self.commands_of[name][1]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

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
        except OSError as error:
            if error.filename is None:  # a stream of this process
                raise
            tell(hidden(f"elt-env: {_unusable(error)}"))
            ctx.exit(IntegrityError.exit_code)
        except KeyboardInterrupt:
            tell("elt-env: interrupted; the same command takes it up again")
            ctx.exit(128 + signal.SIGINT)


def _unusable(error: OSError) -> IntegrityError:
    """Return the error for something that is in the place of a file, or of a directory."""
    return IntegrityError(
        f"{os.fsdecode(error.filename)} cannot be used: {cause(error)}.",
        "Put back what belongs there. Where it is of a store: elt-env verify TARGET --repair; or "
        "remove it, then elt-env build TARGET",
    )


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt
