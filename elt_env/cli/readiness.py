"""`elt-env readiness`: on which Pythons an environment can be had."""

from __future__ import annotations

import json

import click

from elt_env.cli.progress import teller
from elt_env.package.target import parse_target
from elt_env.project.settings import open_project
from elt_env.tools import open_tools
from elt_env.watch.readiness_render import next_step, to_text
from elt_env.watch.store import ReadinessStore
from elt_env.watch.trial import examine_python, pythons_to_examine


@click.command()
@click.argument("environment")
@click.option("--python", "pythons", metavar="MINOR", multiple=True, help="Look at this one only.")
@click.option("--json", "as_json", is_flag=True, help="Print a stable JSON list.")
def readiness(environment: str, pythons: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001  # click passes it
    """Find the Pythons on which ENVIRONMENT can be had.

    On each it is locked, installed and proven. Where it cannot, the chain is printed that stands in
    the way, and since when. By default the Pythons of the policy are looked at, those of earlier
    looks, and the newest on offer. Nothing that is in use changes.

    \b
    Examples:
      elt-env readiness elt
      elt-env readiness elt --python 3.13
      elt-env readiness elt --json
    """
    tools = open_tools(open_project(), environment)
    say = teller()
    asked = [parse_target(f"{environment}@{each}", "").python for each in pythons]
    for each in asked or pythons_to_examine(environment, tools, say):
        examine_python(environment, each, tools, say)
    known = ReadinessStore(tools.store.documents).all(environment)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in known], indent=2))
        return
    listed, today = tools.environment.pythons, tools.store.now().date()
    click.echo(to_text(known, listed, today))
    click.echo("\n" + next_step(known, listed, today))
