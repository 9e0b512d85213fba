"""`lint`: what is wrong with specs, before anything is asked for."""

from __future__ import annotations

from pathlib import Path

import click

from elt_env.errors import SpecError
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec


@click.command()
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
@click.pass_context
def lint(context: click.Context, specs: tuple[str, ...]) -> None:
    """Print all that is wrong with each SPEC, and where.

    A SPEC is an environment.yml of any name, a pyproject.toml, requirements.in, Pipfile or
    pixi.toml. The files that it includes are read too. Needs no policy, asks no channel and no
    index. Ends with 0 when all can be used, with 2 when one cannot.

    \b
    Examples:
      elt-env lint environment.yml
      elt-env lint environments/*.yml
    """
    good = [_lint(name) for name in specs]
    context.exit(0 if all(good) else SpecError.exit_code)


def _lint(name: str) -> bool:
    """Print what is to be said about a file, and return whether it can be used."""
    try:
        spec = read_spec(Path(), name)
    except FaultsError as error:
        click.echo("\n".join(map(str, error.faults)))
        return False
    except SpecError as error:
        click.echo(str(error))
        return False
    for each in spec.warnings:
        click.echo(f"{each.place}: WARNING: {each.problem}\n  -> {each.remedy}")
    click.echo(f"{name}: nothing is wrong")
    return True
