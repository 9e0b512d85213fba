"""The commands about releases: `promote`, `rollback` and `history`."""

from __future__ import annotations

import getpass
import json
import sys

import click

from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.machine.shells import own_command
from elt_env.pipeline import Pipeline
from elt_env.release.history import log_text
from elt_env.release.log import release_log
from elt_env.release.move import MoveResult
from elt_env.release.store import ReleaseStore

_TARGET = click.argument("name", metavar="TARGET")
_WHY = click.option("--why", metavar="TEXT", help="The reason, for the history.")


@click.command()
@_TARGET
@_WHY
def promote(name: str, why: str | None) -> None:
    """Make the current lock of TARGET its release.

    All that the policy requires has to be proven. Nothing is built or run. The commands in the
    directory that is printed run the release, without activation, and stay where they are.

    \b
    Examples:
      elt-env promote elt@3.11
      elt-env promote elt@3.11 --why "the nightly run needs dbt 1.11.16"
    """
    target, tools = open_target(name)
    pipeline = Pipeline(target=target, tools=tools, say=teller())
    moved = pipeline.promote(trigger=why or by_hand(), by="elt-env promote")
    _print_moved(moved, ReleaseStore(tools.store))


@click.command()
@_TARGET
@click.option("--to", metavar="DIGEST", help="A released or proven lock, or the start of one.")
@_WHY
def rollback(name: str, to: str | None, why: str | None) -> None:
    """Make the release before the release of TARGET again.

    Or the one of another lock, with --to. Its prefix is built from its lock where it is gone. The
    current lock stays what it is; what was rolled back from becomes the release again at a person's
    word only.

    \b
    Examples:
      elt-env rollback elt@3.11
      elt-env rollback elt@3.11 --to 8c889c6ab17a --why "dbt test fails since Monday"
    """
    target, tools = open_target(name)
    pipeline = Pipeline(target=target, tools=tools, say=teller())
    moved = pipeline.roll_back(to=to, trigger=why or by_hand(), by="elt-env rollback")
    _print_moved(moved, ReleaseStore(tools.store))
    if not moved.kept:
        click.echo(f"Forward again: {own_command(sys.argv[0])} promote {target.name}")


@click.command()
@_TARGET
@click.option("--json", "as_json", is_flag=True, help="Print a stable JSON object.")
def history(name: str, as_json: bool) -> None:  # noqa: FBT001  # click passes it
    """Print every release of TARGET.

    When and why it became one, by what, what changed, and what proved it.

    \b
    Examples:
      elt-env history elt@3.11
      elt-env history elt@3.11 --json
    """
    target, tools = open_target(name)
    entries = release_log(target, tools.store)
    if as_json:
        content = {"target": target.name, "releases": [each.to_json() for each in entries]}
        click.echo(json.dumps(content, indent=2))
    else:
        click.echo(log_text(target.name, entries))


def by_hand() -> str:
    """Return the reason where a person gives none."""
    try:
        return f"asked for by {getpass.getuser()}"
    except (KeyError, OSError):  # nobody with this number
        return "asked for by hand"


def _print_moved(moved: MoveResult, releases: ReleaseStore) -> None:
    release = moved.release
    state = f"kept: {moved.kept}" if moved.kept else release.action
    click.echo(f"{release.target} {release.digest} {state}")
    click.echo(releases.entry_points(release.target))
