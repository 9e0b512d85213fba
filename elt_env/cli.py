"""`elt-env`: parse, call a stage, print. The only module that prints or exits."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from elt_env.errors import EltEnvError, InputError
from elt_env.model.diff import compare, count
from elt_env.model.lock import Lock, Package
from elt_env.model.summary import next_steps
from elt_env.model.target import Target, parse_target
from elt_env.stages import build as building
from elt_env.stages import lock as locking
from elt_env.stages import show as showing
from elt_env.stages.prove import CHECKS, prove
from elt_env.tools.environment_variables import user_environment
from elt_env.tools.interpreters import list_interpreters
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import run_interactive
from elt_env.tools.settings import open_project
from elt_env.tools.store import read_lock_directory
from elt_env.tools.toolbox import Toolbox, open_toolbox

_INTERRUPTED = 130
_TARGET = click.argument("name", metavar="TARGET")


class _Group(click.Group):
    """Turns an EltEnvError into its message and exit code, and Ctrl-C into 130."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        # By default SIGTERM ends Python without its `finally`, and leaves tools running.
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            return super().invoke(ctx)
        except EltEnvError as error:
            click.echo(f"elt-env: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("elt-env: interrupted; the same command takes it up again", err=True)
            ctx.exit(_INTERRUPTED)


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elt-env")
def main() -> None:
    """Lock, build and use proven ELT environments.

    A TARGET is an environment at a Python minor, as in elt@3.11; without a Python, as in elt, the
    first one of the policy is meant.

    \b
    Examples:
      elt-env build elt@3.11
      elt-env run elt@3.11 -- dbt --version
      elt-env show elt@3.11 --json
    """


@main.command()
@_TARGET
def lock(name: str) -> None:
    """Make the lock of TARGET, or keep the one that satisfies spec and policy.

    \b
    Example:
      elt-env lock elt@3.11
    """
    target, toolbox = _open(name)
    locked = locking.lock(target, toolbox, _teller())
    _print_locked(locked)


@main.command()
@_TARGET
@click.option("-P", "--package", "packages", multiple=True, help="Upgrade only this one.")
def relock(name: str, packages: tuple[str, ...]) -> None:
    """Upgrade the lock of TARGET within spec and policy, and say what changed.

    \b
    Examples:
      elt-env relock elt@3.11
      elt-env relock elt@3.11 -P dagster -P duckdb
    """
    target, toolbox = _open(name)
    locked = locking.lock(target, toolbox, _teller(), upgrade=packages or None)
    _print_locked(locked)


@main.command()
@_TARGET
@click.option("--lock", "directory", type=click.Path(), help="Build this lock's directory instead.")
@click.option("--again", is_flag=True, help="Run the checks again, even those that held.")
def build(name: str, directory: str | None, again: bool) -> None:  # noqa: FBT001  # click passes it
    """Lock TARGET where needed, install what is locked, and check it.

    \b
    Examples:
      elt-env build elt@3.11
      elt-env build elt@3.11 --lock path/to/a/lock
    """
    target, toolbox = _open(name)
    say = _teller()
    if directory is None:
        current = locking.lock(target, toolbox, say).lock
    else:
        current = read_lock_directory(Path(directory), target)
    built = building.ensure_prefix(current, toolbox, say)
    results = [prove(check, current, toolbox, say, again=again) for check in CHECKS]
    click.echo(f"{target.name} {current.digest}\n{built.path}")
    if not all(each.holds for each in results):
        failed = ", ".join(each.check for each in results if not each.holds)
        click.echo(f"elt-env: {target.name} is built, but does not hold: {failed}", err=True)
        sys.exit(8)


@main.command()
@_TARGET
@click.option("--json", "as_json", is_flag=True, help="Print a stable JSON object.")
@click.option("--packages", is_flag=True, help="List every package and who needs it.")
@click.option("--next", "hints", is_flag=True, help="Add the commands to try next.")
def show(name: str, as_json: bool, packages: bool, hints: bool) -> None:  # noqa: FBT001
    """Print what is known about TARGET.

    \b
    Examples:
      elt-env show elt@3.11
      elt-env show elt@3.11 --json
    """
    target, toolbox = _open(name)
    summary = showing.show(target, toolbox)
    if as_json:
        click.echo(json.dumps(summary.to_json(), indent=2))
        return
    click.echo(summary.to_text())
    if packages and summary.lock:
        click.echo("\n".join(_package_line(each) for each in summary.lock.packages))
    if hints:
        click.echo("\n" + next_steps(target, _own_command()))


@main.command()
@click.argument("old")
@click.argument("new", required=False)
def diff(old: str, new: str | None) -> None:
    """Print what changed from lock OLD to lock NEW.

    Each is a target, the start of a digest, or a directory with a lock.json. With one target
    alone, its lock before is compared with its current one.

    \b
    Examples:
      elt-env diff elt@3.11
      elt-env diff elt@3.11 elt@3.12
    """
    project = open_project()
    toolbox = open_toolbox(project, next(iter(project.policy.environments)))
    latest = showing.find_lock(new or old, toolbox)
    before: Lock | None = (
        showing.find_lock(old, toolbox) if new else showing.previous_lock(latest.target, toolbox)
    )
    changes = compare(before, latest)
    click.echo(count(changes))
    for change in changes:
        click.echo(change)


@main.command(context_settings={"ignore_unknown_options": True})
@_TARGET
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(name: str, command: tuple[str, ...]) -> None:
    """Run COMMAND with the tools of TARGET first on PATH; its exit code becomes this one's.

    \b
    Examples:
      elt-env run elt@3.11 -- dbt --version
      elt-env run elt@3.11 -- python -c 'import duckdb; print(duckdb.__version__)'
    """
    prefix = _ready_prefix(name)
    sys.exit(run_interactive(command, env=user_environment(prefix.path)))


@main.command()
@_TARGET
def shell(name: str) -> None:
    """Open a shell in which the tools of TARGET come first on PATH.

    \b
    Example:
      elt-env shell elt@3.11
    """
    prefix = _ready_prefix(name)
    variables = user_environment(prefix.path)
    click.echo(f"{prefix.lock.target.name}: {prefix.path}; leave with exit", err=True)
    sys.exit(run_interactive([variables.get("SHELL", "/bin/sh"), "-i"], env=variables))


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
    first = toolbox.environment.pythons[0]
    if chosen != first:
        click.echo(f"elt-env: Python {first} cannot be had here, taking {chosen}", err=True)
    click.echo(chosen)


def _list_pythons() -> None:
    usable, refused = list_interpreters()
    for each in usable:
        click.echo(f"{each.version:<10} {each.executable}")
    for other in refused:
        click.echo(f"{'refused':<10} {other.executable}: {other.reason}")


def _open(name: str) -> tuple[Target, Toolbox]:
    project = open_project()
    environment = name.split("@", maxsplit=1)[0]
    if "@" not in name:
        name = f"{name}@{project.environment(environment).pythons[0]}"
    target = parse_target(name, "")
    toolbox = open_toolbox(project, environment)
    return toolbox.target(environment, target.python), toolbox


def _ready_prefix(name: str) -> Prefix:
    target, toolbox = _open(name)
    current = building.require_lock(target, toolbox)
    prefix = Prefix(toolbox.store.prefix_path(current), current)
    if not prefix.ready:
        raise InputError(f"{target.name} is not built.", f"Build it: elt-env build {target.name}")
    return prefix


def _teller() -> Callable[[str], None]:
    start = time.monotonic()

    def say(line: str) -> None:
        click.echo(f"{time.monotonic() - start:6.1f} s  {line}", err=True)

    return say


def _own_command() -> str:
    """Return how a person calls this program here: its name, or its path when not on PATH."""
    started = Path(sys.argv[0])
    found = shutil.which("elt-env")
    if found and started.exists() and Path(found).samefile(started):
        return "elt-env"
    here = Path.cwd()
    absolute = started.absolute()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def _print_locked(locked: locking.Locked) -> None:
    state = "kept" if locked.kept else count(locked.changes)
    click.echo(f"{locked.lock.target.name} {locked.lock.digest} {state}")
    for change in locked.changes:
        click.echo(change)
    click.echo(locked.path)


def _package_line(package: Package) -> str:
    why = "asked for" if package.requested else "for " + ", ".join(package.required_by)
    released = f"{package.released_at:%Y-%m-%d}" if package.released_at else "unknown   "
    return f"  {package.manager:<5} {package.name} {package.version}  {released}  {why}"
