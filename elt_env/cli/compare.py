"""`compare`: what other resolvers make of what a lock was made from."""

from __future__ import annotations

import click

from elt_env.cli.lock import TARGET
from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.environment.build import require_lock
from elt_env.errors import EltEnvError, PolicyError, ToolError
from elt_env.lock.comparison import RESOLVERS, Comparison, compare_with


@click.command()
@TARGET
@click.option(
    "--resolvers",
    metavar="NAMES",
    default=",".join(RESOLVERS),
    show_default=True,
    help="Those to ask.",
)
def compare(name: str, resolvers: str) -> None:
    """Ask other resolvers what the lock of TARGET was made from.

    Each is asked for the files that were out when the lock was made, beside what conda owns. A line
    tells what each one chooses otherwise than locked, and how long it took. Nothing is changed.

    \b
    Examples:
      elt-env compare elt@3.11
      elt-env compare elt@3.11 --resolvers uv,pip
    """
    names = [each.strip() for each in resolvers.split(",")]
    unknown = [each for each in names if each not in RESOLVERS]
    if unknown:
        raise PolicyError(
            f"--resolvers: there is no resolver '{unknown[0]}'.",
            f"Name some of: {', '.join(RESOLVERS)}",
        )
    target, tools = open_target(name, foreign=True)
    lock = require_lock(target, tools.store)
    missing: list[EltEnvError] = []
    for each in names:
        try:
            _print(compare_with(each, lock, tools.files, tools.resolver_named, teller()))
        except ToolError as error:
            missing.append(error)
            click.echo(f"{each}: not asked")
    if missing:
        raise missing[0]


def _print(found: Comparison) -> None:
    same = f"the same {found.packages} packages"
    told = f"differs in {len(found.differences)} of {found.packages} packages"
    how = "finds no solution" if found.conflict else told if found.differences else same
    click.echo(f"{found.resolver}: {how}, {found.seconds:.1f} s")
    for line in found.conflict.splitlines() or found.differences:
        click.echo(f"  {line}")
