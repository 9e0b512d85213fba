"""`lock` and `relock`: make a lock, or keep the one that is there."""

from __future__ import annotations

from pathlib import Path

import click

from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.errors import PolicyError
from elt_env.lock import make as locking
from elt_env.lock.diff_render import body, headline
from elt_env.lock.from_file import Candidate, LockedFile, candidates_of, lock_file
from elt_env.lock.platforms import lock_others
from elt_env.machine.process import Say
from elt_env.project.settings import open_project
from elt_env.project.spec_paths import is_file
from elt_env.tools import Tools, open_tools

TARGET = click.argument("name", metavar="TARGET")
TARGET_OR_FILE = click.argument("name", metavar="TARGET|FILE")
PYTHON = click.option("--python", metavar="3.N", help="The Python minor to take for a FILE.")
NAME = click.option("--name", "called", metavar="NAME", help="What a FILE's environment is called.")


@click.command()
@TARGET_OR_FILE
@PYTHON
@NAME
def lock(name: str, python: str | None, called: str | None) -> None:
    """Lock TARGET, or keep the lock that satisfies its spec.

    Other platforms of the policy are locked as well. For a FILE, as for build.

    \b
    Examples:
      elt-env lock elt@3.11
      elt-env lock elt@3.11/linux-aarch64
      elt-env lock path/to/environment.yml --python 3.11
    """
    say = teller()
    found = locked_as(name, python, called, say)
    print_locked(found.locked)
    for each in lock_others(found.locked, found.tools, say):
        print_locked(each)


@click.command()
@TARGET
@click.option("-P", "--package", "packages", multiple=True, help="Upgrade only this one.")
@click.option(
    "--accept-index",
    "accepted",
    metavar="PACKAGE",
    multiple=True,
    help="Take this one from another index or channel than before.",
)
def relock(name: str, packages: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    """Upgrade the lock of TARGET within its spec.

    The policy holds too. What changed is printed. Meltano's plugins that checks run are locked
    anew by the next run of the check: all, or those that have a package that is named.

    \b
    Examples:
      elt-env relock elt@3.11
      elt-env relock elt@3.11 -P dagster -P duckdb
      elt-env relock elt@3.11 --accept-index corp-lib
    """
    target, tools = open_target(name, foreign=True)
    say = teller()
    upgrade = packages or None
    locked = locking.lock(target, tools, say, upgrade=upgrade, accepted=accepted)
    _tell_others(LockedFile(target, tools, locked), say)
    print_locked(locked)
    for each in lock_others(locked, tools, say, upgrade=upgrade, accepted=accepted):
        print_locked(each)


def locked_as(name: str, python: str | None, called: str | None, say: Say) -> LockedFile[Tools]:
    """Lock what a person named, a target or a file; others are told of a new lock."""
    if is_file(name):
        found = lock_file(file_candidates(name, python, called, say), say)
    else:
        refuse_options(name, python, called)
        target, tools = open_target(name, foreign=True)
        found = LockedFile(target, tools, locking.lock(target, tools, say))
    _tell_others(found, say)
    return found


def file_candidates(
    name: str, python: str | None, called: str | None, say: Say
) -> tuple[Candidate[Tools], ...]:
    """Return what a file may become, with a policy or without."""
    project = open_project(with_policy=False)
    return candidates_of(Path(name), project, open_tools, say, python=python, name=called)


def refuse_options(name: str, python: str | None, called: str | None) -> None:
    """Return when a target was named without the options of a file."""
    if python or called:
        raise PolicyError(
            f"--python and --name are for a file; '{name}' is a target.",
            "Write the Python behind it, as in: elt-env build elt@3.11",
        )


def _tell_others(found: LockedFile[Tools], say: Say) -> None:
    if not found.locked.kept:
        from elt_env.pipeline import Pipeline  # slow to load

        Pipeline(target=found.target, tools=found.tools, say=say).tell_locked(found.locked)


def print_locked(locked: locking.Locked) -> None:
    """Print a lock, and what it changed."""
    report = locked.report
    told = "kept" if locked.kept or not report else headline(report)
    click.echo(f"{locked.lock.target.name} {locked.lock.digest} {told}")
    for line in body(report) if report else ():
        click.echo(line)
    click.echo(locked.path)
