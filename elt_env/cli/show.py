"""`show` and `pythons`: what is known of a target, of the settings, and of this machine."""

from __future__ import annotations

import json
import sys

import click

from elt_env.cli.progress import tell
from elt_env.cli.targets import open_target
from elt_env.machine.shells import own_command
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.python.interpreters import list_interpreters
from elt_env.report import show as showing
from elt_env.report.summary import SET_CLOCK, Summary, next_steps, packages_text
from elt_env.runtime.clock import Clock
from elt_env.runtime.input_files import read_stored_text
from elt_env.tools import open_tools


@click.command()
@click.argument("name", metavar="TARGET", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a stable JSON object.")
@click.option("--packages", is_flag=True, help="List every package and who needs it.")
@click.option("--next", "hints", is_flag=True, help="Add the commands to try next.")
@click.option("--settings", is_flag=True, help="Print each setting and where it comes from.")
def show(
    name: str | None,
    as_json: bool,  # noqa: FBT001  # click passes them
    packages: bool,  # noqa: FBT001
    hints: bool,  # noqa: FBT001
    settings: bool,  # noqa: FBT001
) -> None:
    """Print what is known about TARGET.

    Or, with --settings, what counts for it and where that comes from.

    \b
    Examples:
      elt-env show elt@3.11
      elt-env show elt@3.11 --json
      elt-env show --settings
    """
    if settings:
        _print_settings(name, as_json=as_json)
        return
    if name is None:
        raise click.UsageError("Missing argument 'TARGET'.")
    target, tools = open_target(name, foreign=True)
    summary = showing.show(target, tools.store)
    warn_of_clock(summary, tools.store.now)
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=2))
        return
    click.echo(summary.to_text())
    if packages and summary.lock:
        click.echo(packages_text(summary.lock))
    if hints:
        click.echo("\n" + next_steps_of(summary, tools.project))


@click.command()
@click.option("--pick", metavar="ENVIRONMENT", help="Print only the Python to build it for here.")
def pythons(pick: str | None) -> None:
    """List the Pythons of this machine.

    Those that a host channel can be made of.

    \b
    Examples:
      elt-env pythons
      elt-env pythons --pick elt
    """
    if pick is None:
        _list_pythons()
        return
    tools = open_tools(open_project(), pick)
    chosen = showing.pick_python(pick, tools)
    if chosen != (first := tools.environment.pythons[0]):
        click.echo(f"elt-env: Python {first} cannot be had here, taking {chosen}", err=True)
    click.echo(chosen)


def warn_of_clock(summary: Summary, now: Clock) -> None:
    """Print to stderr that the clock is before what is on record, where it is."""
    trouble = summary.clock_trouble(now())
    if trouble:
        tell(f"elt-env: WARNING: {trouble}\n  -> If it is wrong now: {SET_CLOCK}")


def next_steps_of(summary: Summary, project: Project) -> str:
    """Return what can be typed next, in a project with a Makefile or without."""
    makefile = project.root / "Makefile"
    with_make = makefile.is_file() and "\nrelock:" in read_stored_text(makefile, errors="replace")
    return next_steps(
        summary,
        own_command(sys.argv[0]),
        with_make=with_make,
        with_workspace=(project.root / "workspace.yaml").is_file(),
    )


def _print_settings(name: str | None, *, as_json: bool) -> None:
    from elt_env.report import settings as settings_report  # slow to load

    if name is None:
        found = settings_report.settings_of(open_project(with_policy=False))
    else:
        target, tools = open_target(name, foreign=True)
        found = settings_report.settings_of(tools.project, target.environment)
    if as_json:
        click.echo(json.dumps({"settings": [each.to_json() for each in found]}, indent=2))
    else:
        click.echo(settings_report.to_text(found))


def _list_pythons() -> None:
    usable, refused = list_interpreters()
    for each in usable:
        click.echo(f"{each.version:<10} {each.executable}")
    for other in refused:
        click.echo(f"{'refused':<10} {other.executable}: {other.reason}")
