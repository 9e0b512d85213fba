"""`adopt`: a lock of the lock files that a team has."""

from __future__ import annotations

from pathlib import Path

import click

from elt_env.cli.lock import print_locked
from elt_env.cli.progress import teller
from elt_env.errors import PolicyError
from elt_env.lock.adopt import adopt as adopt_files
from elt_env.lock.adopt_prefix import open_prefix
from elt_env.lockfile.foreign.read import open_lock_files
from elt_env.package.platform import this_platform
from elt_env.package.target import parse_target
from elt_env.pipeline import Pipeline
from elt_env.project.settings import open_project
from elt_env.tools import open_tools


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--prefix",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Take what is installed in this environment.",
)
@click.option("--as", "name", metavar="TARGET", required=True, help="Whose lock it becomes.")
@click.option(
    "--group",
    "groups",
    metavar="NAME",
    multiple=True,
    help="Take this extra, group or environment too.",
)
def adopt(files: tuple[Path, ...], prefix: Path | None, name: str, groups: tuple[str, ...]) -> None:
    """Make the lock of TARGET of lock files of other tools.

    FILE is an @EXPLICIT file of conda, a requirements.txt with hashes, a pylock.toml, uv.lock,
    poetry.lock, Pipfile.lock, conda-lock.yml or pixi.lock. Several make one lock: conda's half and
    pip's. Where none has conda's half, that is solved.

    With --prefix, what conda and pip installed in an environment is locked. What no lock can hold
    is said, and what is broken in it.

    Where the environment has no spec, environments/NAME.yml is written, which asks for what
    nothing else in the lock needs. Else the lock has to satisfy the spec that is there.

    \b
    Examples:
      elt-env adopt uv.lock --as elt@3.11
      elt-env adopt conda-linux-64.lock requirements.txt --as elt@3.11
      elt-env adopt poetry.lock --as elt@3.11 --group dev
      elt-env adopt --prefix ~/miniconda3/envs/elt --as elt@3.11
    """
    say = teller()
    target = parse_target(name, this_platform())
    project = open_project(with_policy=False)
    opened = (*([open_prefix(prefix)] if prefix else []), *open_lock_files(files))
    if not opened:
        raise PolicyError(
            "There is nothing to adopt.", "Name lock files, or an environment with --prefix DIR."
        )
    found = adopt_files(opened, target, project, open_tools, say, groups=groups)
    pipeline = Pipeline(target=found.target, tools=found.tools, say=say)
    pipeline.tell_locked(found.locked)
    print_locked(found.locked)
    if target.environment not in project.policy.environments:
        say(
            f"adopt: {target.environment} is known to this store; for the whole team, list it: "
            f"[tool.elt-env.environments.{target.environment}] in pyproject.toml"
        )
    say(f"adopt: next: elt-env build {target.name}")
