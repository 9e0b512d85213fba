"""`elt-env why`, `elt-env why-not`: who brought a package, what keeps another version out."""

from __future__ import annotations

import re

import click
from packaging.requirements import InvalidRequirement, Requirement

from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.errors import PolicyError
from elt_env.lock import why as stage
from elt_env.machine.platform import target_here
from elt_env.package.target import PYTHON
from elt_env.report.show import find_lock


@click.command()
@click.argument("target")
@click.argument("name")
def why(target: str, name: str) -> None:
    """Print why the package NAME is in the lock of TARGET.

    Every way is printed from what the spec asks for, on both sides, and each bound with its owner.

    \b
    Example:
      elt-env why elt@3.11 six
    """
    place, tools = open_target(target, foreign=True)
    for line in stage.why(find_lock(place.name, tools.store), name, tools.downloads):
        click.echo(line)


@click.command("why-not")
@click.argument("target")
@click.argument("wanted")
def why_not(target: str, wanted: str) -> None:
    """Print what keeps WANTED out of the lock of TARGET.

    WANTED is a requirement, or a Python minor. Printed are the fewest requirements of the spec that
    it cannot hold together with, who needs what, and the fewest of them without which it is
    possible, each proven by a resolve. Nothing that is in use changes.

    \b
    Examples:
      elt-env why-not elt@3.11 'pandas>=3'
      elt-env why-not elt@3.11 3.14
    """
    place, tools = open_target(target, foreign=True)
    beside = place
    python = re.fullmatch(PYTHON, wanted)
    if python:
        place = target_here(place.environment, wanted)
    asked = "" if python else _requirement(wanted)
    for line in stage.why_not(place, asked, tools, teller(), beside).lines:
        click.echo(line)


def _requirement(text: str) -> str:
    try:
        return str(Requirement(text))
    except InvalidRequirement as error:
        raise PolicyError(
            f"'{text}' is neither a requirement nor a Python minor.",
            "Write it as in 'pandas>=3', or as in 3.14.",
        ) from error
