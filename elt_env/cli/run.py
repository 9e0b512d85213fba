"""`run` and `shell`: use the tools of an environment."""

from __future__ import annotations

import os
import shutil
import sys

import click

from elt_env.cli.targets import prefix_to_use
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.machine.environment_variables import read_activation, user_environment
from elt_env.machine.process import run_interactive
from elt_env.machine.shells import shell_in


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("name", metavar="TARGET")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with the tools of TARGET first on PATH.

    Its exit code becomes this one's.

    \b
    Examples:
      elt-env run elt@3.11 -- dbt --version
      elt-env run elt@3.11 -- python -c 'import duckdb; print(duckdb.__version__)'
    """
    prefix = prefix_to_use(name)
    typed = command[1:] if command[0] == "--" else command
    if not typed:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    _say_omitted(prefix)
    variables = user_environment(prefix.path)
    if "/" not in typed[0] and not shutil.which(typed[0], os.F_OK, variables["PATH"]):
        raise ToolError(
            f"The program {typed[0]} is not there: not in {name}, and not on PATH.",
            f"Where it was in {name} before: elt-env verify {name} --repair; else let the spec ask "
            "for the package that brings it.",
        )
    sys.exit(run_interactive(typed, env=variables))


@click.command()
@click.argument("name", metavar="TARGET")
def shell(name: str) -> None:
    """Open a shell with the tools of TARGET first on PATH.

    \b
    Example:
      elt-env shell elt@3.11
    """
    prefix = prefix_to_use(name)
    target = prefix.lock.target.name
    command, variables = shell_in(prefix.path, target)
    _say_omitted(prefix)
    click.echo(f"{target}: {prefix.path}; leave with exit", err=True)
    sys.exit(run_interactive(command, env=variables))


def _say_omitted(prefix: Prefix) -> None:
    """Say, in a line, what an activation by conda would do besides."""
    first, *more = [*read_activation(prefix.path).omitted, ""]
    if first:
        others = f", and {len(more) - 1} more" if len(more) > 1 else ""
        click.echo(
            f"elt-env: not all is as after conda activate: {first}{others}; see "
            f"elt-env doctor {prefix.lock.target.name} --check conda_scripts",
            err=True,
        )
