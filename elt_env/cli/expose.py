"""`expose`: programs of a release on PATH."""

from __future__ import annotations

from pathlib import Path

import click

from elt_env.cli.lock import TARGET
from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.errors import InputError
from elt_env.release import expose as exposing


@click.command()
@TARGET
@click.argument("programs", metavar="[PROGRAM]...", nargs=-1)
@click.option("--to", metavar="DIR", help="Where the links go.  [default: ~/.local/bin]")
@click.option("--remove", is_flag=True, help="Take them away; all of TARGET where none is named.")
def expose(name: str, programs: tuple[str, ...], to: str | None, *, remove: bool) -> None:
    """Put programs of TARGET's release on PATH.

    Each is a link to the program of that name of the release, whatever is released later, and
    starts as fast as it does. What elt-env did not make is not replaced.

    \b
    Examples:
      elt-env expose elt@3.11 dbt meltano dagster
      elt-env expose elt@3.11 dbt --to /usr/local/bin
      elt-env expose elt@3.11 --remove
    """
    target, tools = open_target(name)
    directory = _directory(to)
    if not programs and not remove:
        raise InputError(
            f"No program of {target.name} is named.",
            f"Name those to put on PATH, as in: elt-env expose {target.name} dbt",
        )
    if remove:
        done = exposing.withdraw(target, programs, directory, tools.store, teller())
    else:
        done = exposing.expose(target, programs, directory, tools.project, tools.store, teller())
    for each in done:
        click.echo(each)


def _directory(to: str | None) -> Path:
    """Return where the links go, as an absolute path.

    Raises:
        InputError: the user has no home directory.
    """
    try:
        return Path(to or "~/.local/bin").expanduser().absolute()
    except RuntimeError as error:
        raise InputError(
            "This user has no home directory.", "Name a directory on PATH: --to DIR"
        ) from error
