"""`build`: from a spec or a lock to a release."""

from __future__ import annotations

import contextlib
import sys

import click

from elt_env.cli.lock import NAME, PYTHON, TARGET_OR_FILE, locked_as
from elt_env.cli.progress import tell, teller
from elt_env.cli.release import by_hand
from elt_env.cli.show import next_steps_of
from elt_env.cli.targets import lock_in, open_target
from elt_env.environment.build import require_as_sealed
from elt_env.environment.prefix import Prefix
from elt_env.errors import PlatformsError
from elt_env.lock.from_file import LockedFile
from elt_env.lock.platforms import lock_others
from elt_env.machine.process import Say
from elt_env.machine.shells import own_command
from elt_env.package.target import Target, names_target
from elt_env.pipeline import Pipeline
from elt_env.project.project import Project
from elt_env.proof.checks.registry import build_checks
from elt_env.report import show as showing
from elt_env.report.summary import next_of_file
from elt_env.store.locks import Store
from elt_env.tools import Tools


@click.command()
@TARGET_OR_FILE
@PYTHON
@NAME
@click.option("--lock", "directory", help="Take the lock in this directory, from wherever it is.")
@click.option("--again", is_flag=True, help="Run the checks again, even those that held.")
@click.option("--no-promote", "stays", is_flag=True, help="Leave the release where it is.")
def build(  # noqa: PLR0913  # click passes them
    name: str,
    *,
    python: str | None,
    called: str | None,
    directory: str | None,
    again: bool,
    stays: bool,
) -> None:
    """Lock, install, prove and release TARGET.

    A lock from elsewhere becomes the current one of TARGET once it is built and the checks hold.
    It becomes the release where the policy promotes by itself.

    A FILE, an environment.yml, pyproject.toml, requirements.in, Pipfile or pixi.toml that no policy
    has to list, is built under the name that it has inside, for the Python that it asks for, else
    for the newest that can be had. Afterwards it is a target as any other.

    \b
    Examples:
      elt-env build elt@3.11
      elt-env build elt@3.11 --no-promote
      elt-env build elt@3.11 --lock path/to/a/lock
      elt-env build path/to/environment.yml
      elt-env build path/to/environment.yml --python 3.12 --name elt-next
      elt-env build pyproject.toml
    """
    say, reasons = teller(), ""
    if directory:
        target, tools = open_target(name)
        current = lock_in(directory, target, tools.store, say)
    else:
        found = _locked(name, python, called, say)
        target, tools, current = found.target, found.tools, found.locked.lock
        reasons = "; ".join(found.locked.reasons)
    pipeline = Pipeline(target=target, tools=tools, say=say)
    results = pipeline.prove(current, build_checks(tools.environment), again=again)
    prefix = Prefix(tools.store.prefix_path(current), current)
    click.echo(f"{target.name} {current.digest}\n{prefix.path}")
    pipeline.require_held(results, current)
    require_as_sealed(prefix)
    if directory:
        tools.store.write_lock(current)
        tools.store.set_current(target, current.digest, tools.store.now())
    if not stays:
        pipeline.promote_built(current, trigger=reasons or by_hand(), by="elt-env build")
    _tell_next(target, tools.project, tools.store)


def _locked(name: str, python: str | None, called: str | None, say: Say) -> LockedFile[Tools]:
    """Lock a target, or the environment of a file, for this platform and the policy's others."""
    if names_target(name):
        open_target(name)  # which refuses another platform's before anything is locked
    found = locked_as(name, python, called, say)
    with contextlib.suppress(PlatformsError):  # they were told; this one is healthy
        lock_others(found.locked, found.tools, say)
    return found


def _tell_next(target: Target, project: Project, store: Store) -> None:
    """Print what a person may type next."""
    summary = showing.show(target, store)
    if target.environment in project.unlisted:
        spec = project.environment(target.environment).spec
        click.echo("\n" + next_of_file(summary, own_command(sys.argv[0]), spec))
    else:
        tell("\n" + next_steps_of(summary, project))
