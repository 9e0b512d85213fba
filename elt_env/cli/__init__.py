"""`elt-env`: parse, call a stage, print. The only module that prints or exits."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from elt_env.cli import image as images
from elt_env.cli import release as releases
from elt_env.cli import why as explaining
from elt_env.cli.checks import check, doctor
from elt_env.cli.diff import diff
from elt_env.cli.group import Group
from elt_env.cli.init import init
from elt_env.cli.lint import lint
from elt_env.cli.plugins import plugins
from elt_env.cli.readiness import readiness
from elt_env.cli.targets import lock_in, open_target, prefix_to_use
from elt_env.cli.telling import teller
from elt_env.cli.upkeep import gc, verify_target
from elt_env.errors import PolicyError, ProofError
from elt_env.model.diff import count
from elt_env.model.diff_render import body, headline
from elt_env.model.summary import next_of_file, next_steps, packages_text
from elt_env.model.target import Target
from elt_env.stages import build as building
from elt_env.stages import lock as locking
from elt_env.stages import settings_report
from elt_env.stages import show as showing
from elt_env.stages.acceptance import ways_to_accept
from elt_env.stages.checks.registry import build_checks, is_blocking
from elt_env.stages.from_file import LockedFile, is_file, lock_file
from elt_env.stages.notify import notify
from elt_env.stages.prove import prove_all
from elt_env.tools.environment_variables import read_activation, user_environment
from elt_env.tools.interpreters import list_interpreters
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say, run_interactive
from elt_env.tools.settings import open_project
from elt_env.tools.shells import own_command, shell_in
from elt_env.tools.toolbox import Toolbox, open_toolbox

_TARGET = click.argument("name", metavar="TARGET")
_TARGET_OR_FILE = click.argument("name", metavar="TARGET|FILE")
_PYTHON = click.option("--python", metavar="3.N", help="The Python minor to take for a FILE.")
_NAME = click.option(
    "--name", "called", metavar="NAME", help="What a FILE's environment is called."
)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elt-env")
def main() -> None:
    """Lock, build and use proven ELT environments.

    A TARGET is an environment at a Python minor, as in elt@3.11; without a Python, as in elt, the
    first one of the policy is meant. lock and build take the path of an environment.yml as well,
    which no policy has to list.

    \b
    Examples:
      elt-env build environment.yml
      elt-env build elt@3.11
      elt-env run elt@3.11 -- dbt --version
      elt-env show elt@3.11 --json
    """


@main.command()
@_TARGET_OR_FILE
@_PYTHON
@_NAME
def lock(name: str, python: str | None, called: str | None) -> None:
    """Make the lock of TARGET, or keep the one that satisfies spec and policy.

    For a FILE, as for build.

    \b
    Examples:
      elt-env lock elt@3.11
      elt-env lock path/to/environment.yml --python 3.11
    """
    say = teller()
    found = _locked(name, python, called, say)
    _tell_locked(found.locked, found.toolbox, say)
    _print_locked(found.locked)


@main.command()
@_TARGET
@click.option("-P", "--package", "packages", multiple=True, help="Upgrade only this one.")
@click.option(
    "--accept-index",
    "accepted",
    metavar="PACKAGE",
    multiple=True,
    help="Take this one from another index or channel than before.",
)
def relock(name: str, packages: tuple[str, ...], accepted: tuple[str, ...]) -> None:
    """Upgrade the lock of TARGET within spec and policy, and say what changed.

    \b
    Examples:
      elt-env relock elt@3.11
      elt-env relock elt@3.11 -P dagster -P duckdb
      elt-env relock elt@3.11 --accept-index corp-lib
    """
    target, toolbox = open_target(name)
    say = teller()
    upgrade = packages or None
    locked = locking.lock(target, toolbox, say, upgrade=upgrade, accepted=accepted)
    _tell_locked(locked, toolbox, say)
    _print_locked(locked)


@main.command()
@_TARGET_OR_FILE
@_PYTHON
@_NAME
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
    """Lock TARGET where needed, install what is locked, check it, and release it.

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
        found = _locked(name, python, called, say)
        target, toolbox, locked = found.target, found.toolbox, found.locked
        current = locked.lock
        _tell_locked(locked, toolbox, say)
    built = building.ensure_prefix(current, toolbox, say)
    policy = toolbox.environment
    results = prove_all(current, toolbox, say, names=build_checks(policy), again=again)
    click.echo(f"{target.name} {current.digest}\n{built.path}")
    failed = [each for each in results if each.failed and is_blocking(each.check, policy)]
    if failed:
        details = "\n".join(f"{each.check}: {each.detail}" for each in failed)
        notify(target, toolbox, say, "failed", details)
        names = ", ".join(each.check for each in failed)
        ways = ways_to_accept(failed, policy, target.environment)
        log = toolbox.store.home / failed[0].log
        raise ProofError(
            f"{target.name} is built, but does not hold: {names}\n"
            + "\n".join(each.detail for each in failed),
            "\n     ".join(["Change the spec and build again.", *ways, f"The log: {log}"]),
        )
    building.require_as_sealed(Prefix(built.path, current))
    if directory:
        toolbox.store.write_lock(current)
        toolbox.store.set_current(target, current.digest, toolbox.now())
    if not stays:
        releases.promote_built(current, toolbox, say, () if locked is None else locked.reasons)
    if target.environment in toolbox.project.unlisted:
        summary, spec = showing.show(target, toolbox), toolbox.environment.spec
        click.echo("\n" + next_of_file(summary, own_command(sys.argv[0]), spec))
    else:
        click.echo("\n" + _next_steps(target, toolbox))


@main.command()
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
    """Print what is known about TARGET, or with --settings what counts for it and from where.

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
    target, toolbox = open_target(name)
    summary = showing.show(target, toolbox)
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=2))
        return
    click.echo(summary.to_text())
    if packages and summary.lock:
        click.echo(packages_text(summary.lock))
    if hints:
        click.echo("\n" + _next_steps(target, toolbox))


@main.command(context_settings={"allow_interspersed_args": False})
@_TARGET
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with the tools of TARGET first on PATH; its exit code becomes this one's.

    \b
    Examples:
      elt-env run elt@3.11 -- dbt --version
      elt-env run elt@3.11 -- python -c 'import duckdb; print(duckdb.__version__)'
    """
    prefix = prefix_to_use(name)
    typed = command[1:] if command[0] == "--" else command
    if not typed:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    _say_omitted(prefix)
    sys.exit(run_interactive(typed, env=user_environment(prefix.path)))


@main.command()
@_TARGET
def shell(name: str) -> None:
    """Open a shell in which the tools of TARGET come first on PATH.

    \b
    Example:
      elt-env shell elt@3.11
    """
    prefix = prefix_to_use(name)
    target = prefix.lock.target.name
    command, variables = shell_in(prefix.path, target)
    _say_omitted(prefix)
    click.echo(f"{target}: {prefix.path}; leave with exit", err=True)
    sys.exit(run_interactive(command, env=variables))


@main.command()
@click.option("--pick", metavar="ENVIRONMENT", help="Print only the Python to build it for here.")
def pythons(pick: str | None) -> None:
    """List the Pythons of this machine that a host channel can be made of.

    \b
    Examples:
      elt-env pythons
      elt-env pythons --pick elt
    """
    if pick is None:
        _list_pythons()
        return
    toolbox = open_toolbox(open_project(), pick)
    chosen = showing.pick_python(pick, toolbox)
    if chosen != (first := toolbox.environment.pythons[0]):
        click.echo(f"elt-env: Python {first} cannot be had here, taking {chosen}", err=True)
    click.echo(chosen)


def _print_settings(name: str | None, *, as_json: bool) -> None:
    if name is None:
        found = settings_report.settings_of(open_project(with_policy=False))
    else:
        target, toolbox = open_target(name)
        found = settings_report.settings_of(toolbox.project, target.environment)
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


for each in (
    check,
    diff,
    doctor,
    gc,
    releases.history,
    images.image,
    init,
    lint,
    plugins,
    releases.promote,
    images.push,
    readiness,
    releases.rollback,
    images.run_in_image,
    verify_target,
    explaining.why,
    explaining.why_not,
):
    main.add_command(each)


def _next_steps(target: Target, toolbox: Toolbox) -> str:
    makefile = toolbox.project.root / "Makefile"
    with_make = makefile.is_file() and "\nrelock:" in makefile.read_text(errors="replace")
    summary = showing.show(target, toolbox)
    return next_steps(summary, own_command(sys.argv[0]), with_make=with_make)


def _locked(name: str, python: str | None, called: str | None, say: Say) -> LockedFile:
    """Lock what a person named, a target or a file."""
    if is_file(name):
        project = open_project(with_policy=False)
        return lock_file(Path(name), project, say, python=python, name=called)
    if python or called:
        raise PolicyError(
            f"--python and --name are for a file; '{name}' is a target.",
            "Write the Python behind it, as in: elt-env build elt@3.11",
        )
    target, toolbox = open_target(name)
    return LockedFile(target, toolbox, locking.lock(target, toolbox, say))


def _say_omitted(prefix: Prefix) -> None:
    """Say, in a line, what an activation by conda would do besides."""
    first, *more = [*read_activation(prefix.path).omitted, ""]
    if first:
        others = f", and {len(more) - 1} more" if len(more) > 1 else ""
        click.echo(
            f"elt-env: not all is as after conda activate: {first}{others}; see "
            f"elt-env doctor {prefix.lock.target.name} --check conda_scripts",
            err=True,
        )


def _tell_locked(locked: locking.Locked, toolbox: Toolbox, say: Say) -> None:
    """Tell the webhook of the policy of a new lock, if there is one."""
    if not locked.kept:
        trigger = "; ".join(locked.reasons)
        notify(locked.lock.target, toolbox, say, "relocked", count(locked.changes), trigger=trigger)


def _print_locked(locked: locking.Locked) -> None:
    report = locked.report
    told = "kept" if locked.kept or not report else headline(report)
    click.echo(f"{locked.lock.target.name} {locked.lock.digest} {told}")
    for line in body(report) if report else ():
        click.echo(line)
    click.echo(locked.path)
