"""`build`: from a spec or a lock to a release."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from elt_env.cli import release as releases
from elt_env.cli.lock import NAME, PYTHON, TARGET_OR_FILE, locked_as, tell_locked
from elt_env.cli.progress import tell, teller
from elt_env.cli.show import next_steps_of
from elt_env.cli.targets import lock_in, open_target
from elt_env.environment import build as building
from elt_env.environment.prefix import Prefix
from elt_env.errors import ProofError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.machine.shells import own_command
from elt_env.package.target import Target
from elt_env.proof.acceptance import to_mend, ways_to_accept
from elt_env.proof.checks.registry import build_checks, is_blocking
from elt_env.proof.prove import prefix_prover
from elt_env.release.notify import notify
from elt_env.report import show as showing
from elt_env.report.summary import next_of_file
from elt_env.store.evidence import Evidence
from elt_env.toolbox import Toolbox


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

    A FILE, an environment.yml that no policy has to list, is built under the name that it has
    inside, for the Python that it asks for, else for the newest that can be had. Afterwards it is
    a target as any other.

    \b
    Examples:
      elt-env build elt@3.11
      elt-env build elt@3.11 --no-promote
      elt-env build elt@3.11 --lock path/to/a/lock
      elt-env build path/to/environment.yml
      elt-env build path/to/environment.yml --python 3.12 --name elt-next
    """
    say = teller()
    locked = None
    if directory:
        target, toolbox = open_target(name)
        current = lock_in(directory, target, toolbox, say)
    else:
        found = locked_as(name, python, called, say)
        target, toolbox, locked = found.target, found.toolbox, found.locked
        current = locked.lock
        tell_locked(locked, toolbox, say)
    built = building.ensure_prefix(current, toolbox, say)
    names = build_checks(toolbox.environment)
    results = prefix_prover(current, toolbox, say, again=again).results(names)
    click.echo(f"{target.name} {current.digest}\n{built.path}")
    _require_held(results, current, toolbox, say)
    building.require_as_sealed(Prefix(built.path, current))
    if directory:
        toolbox.store.write_lock(current)
        toolbox.store.set_current(target, current.digest, toolbox.now())
    if not stays:
        releases.promote_built(current, toolbox, say, () if locked is None else locked.reasons)
    _tell_next(target, toolbox)


def _tell_next(target: Target, toolbox: Toolbox) -> None:
    """Print what a person may type next."""
    summary = showing.show(target, toolbox)
    if target.environment in toolbox.project.unlisted:
        spec = toolbox.environment.spec
        click.echo("\n" + next_of_file(summary, own_command(sys.argv[0]), spec))
    else:
        tell("\n" + next_steps_of(summary, toolbox))


def _require_held(results: Sequence[Evidence], lock: Lock, toolbox: Toolbox, say: Say) -> None:
    """Return when no check failed that a release waits for; else tell others, and raise.

    Raises:
        ProofError: one of them failed.
    """
    policy = toolbox.environment
    failed = [each for each in results if each.failed and is_blocking(each.check, policy)]
    if not failed:
        return
    details = "\n".join(f"{each.check}: {each.detail}" for each in failed)
    notify(lock.target, toolbox, say, "failed", details)
    names = ", ".join(each.check for each in failed)
    change, ways = to_mend(failed, policy), ways_to_accept(failed, policy, lock)
    log = toolbox.store.local_home / failed[0].log
    raise ProofError(
        f"{lock.target.name} is built, but does not hold: {names}\n"
        + "\n".join(each.detail for each in failed),
        "\n     ".join([f"{change} and build again.", *ways, f"The log: {log}"]),
    )
