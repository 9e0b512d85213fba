"""`export`: the lock of a target as a file of another tool."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elt_env.cli.lock import TARGET
from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.environment.build import require_lock
from elt_env.errors import InputError
from elt_env.lockfile.document import Lock
from elt_env.lockfile.export import FORMATS
from elt_env.package.target import Target
from elt_env.project.platforms import platforms_of
from elt_env.runtime.files import write_atomically
from elt_env.tools import Tools

if TYPE_CHECKING:
    from elt_env.machine.process import Say


@click.command()
@TARGET
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS]),
    default="environment",
    show_default=True,
    metavar="FORMAT",
    help="One of these.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write it, else it is printed.",
)
def export(name: str, form: str, output: str | None) -> None:
    """Write the lock of TARGET as a file of another tool.

    \b
    environment   environment.yml, every package pinned: conda, mamba, elt-env
    conda-lock    conda-lock.yml, both halves: conda-lock install, elt-env adopt
    pixi          pixi.lock, both halves: elt-env adopt, pixi install --frozen
    dockerfile    a Dockerfile that installs both halves: docker build, buildah build
    devcontainer  the folder .devcontainer, which does the same: VS Code, devcontainer up
    explicit      conda's half, URLs and hashes: conda create --file
    requirements  pip's half with hashes: pip install --require-hashes --no-deps -r
    pylock        pip's half as pylock.toml (PEP 751)
    constraints   the versions of all Python distributions: pip install -c

    What the format cannot carry is said.

    \b
    Examples:
      elt-env export elt@3.11 -o environment.lock.yml
      elt-env export elt@3.11 --format constraints -o constraints.txt
      elt-env export elt@3.11 --format devcontainer
    """
    target, tools = open_target(name, foreign=True)
    lock = require_lock(target, tools.store)
    if lock.interpreter and form in ("explicit", "conda-lock", "pixi"):
        raise InputError(
            f"{form} holds packages of conda, and the lock of {target.name} has none.",
            "Export it as requirements, pylock, environment or dockerfile.",
        )
    chosen, say = FORMATS[form], teller()
    others = _other_platforms(target, tools) if chosen.platforms else []
    files = chosen.files(lock) if chosen.files else {"": chosen.render(lock, *others)}
    place = output or chosen.folder
    if place:
        _write(Path(place), files, say)
    else:
        click.echo(files[""], nl=False)
    lost = (
        chosen.lost.replace("conda's half", "the interpreter") if lock.interpreter else chosen.lost
    )
    say(f"export: {form} does not carry {lost}")
    if lock.variables and form not in ("environment", "dockerfile", "devcontainer"):
        say("export: nor does it carry the variables of the spec")
    if lock.channel_source == "host" and chosen.conda:
        say(
            "export: conda's packages are of the HOST CHANNEL, made on this machine: they can be "
            "installed here alone",
            logging.WARNING,
        )


def _other_platforms(target: Target, tools: Tools) -> list[Lock]:
    """Return the locks of the other platforms of a target; none where it names its own one."""
    if target.is_foreign:
        return []
    names = platforms_of(tools.environment)[1:]
    found = (tools.store.current_lock(replace(target, platform=each)) for each in names)
    return [each for each in found if each is not None]


def _write(place: Path, files: Mapping[str, str], say: Say) -> None:
    """Write files below a place, each whole, where none of them is yet."""
    for name in files:
        require_new(place / name)
    for name, text in files.items():
        write_atomically(place / name, text)
        say(f"export: {place / name} is written")


def require_new(path: Path) -> None:
    """Return when nothing is at a path yet.

    Raises:
        InputError: something is.
    """
    if path.exists():
        raise InputError(
            f"{path} is there already, and is left as it is.",
            "Name another file, or remove that one.",
        )
