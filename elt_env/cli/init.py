"""`init`: make a directory a project, from what it holds."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from elt_env.cli.progress import tell
from elt_env.errors import InputError
from elt_env.machine.shells import own_command
from elt_env.package.target import require_environment, require_minor
from elt_env.report.summary import next_lines, web_ui
from elt_env.start.files import TOOLS, Start
from elt_env.start.look import DirectoryContent, files_of, look, write

_LOCKS = ("uv.lock", "poetry.lock", "Pipfile.lock")


@click.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed.")
@click.option("--name", metavar="NAME", help="What the environment is called.")
@click.option(
    "--python", "pythons", metavar="3.N", multiple=True, help="A Python minor; may recur."
)
def init(directory: Path, yes: bool, name: str | None, pythons: tuple[str, ...]) -> None:  # noqa: FBT001  # click's
    """Make DIRECTORY a project that has an environment.

    By default it is this one. The environment is that of its environment.yml, pixi.toml or Pipfile.
    Where there is none, an environment.yml is written, of what the dependencies in pyproject.toml,
    requirements.txt or setup.py, dbt_project.yml and meltano.yml ask for.
    The policy is added to pyproject.toml. A file that is there is never replaced.

    \b
    Examples:
      elt-env init
      elt-env init analytics --yes --name elt --python 3.11 --python 3.12
    """
    found = look(directory)
    if found.policy is None:
        start, tools = _decide(found, name, pythons, asks=not yes and sys.stdin.isatty())
    else:
        start, tools = Start(next(iter(found.policy), found.name), (), found.spec), TOOLS
    files = {} if found.policy == () else files_of(found, start, tools)
    write(files)
    _report(found, files, start)


def _decide(
    found: DirectoryContent, name: str | None, pythons: tuple[str, ...], *, asks: bool
) -> tuple[Start, tuple[str, ...]]:
    """Return what a person wants, asked at most three questions, and the tools."""
    name = name or (_ask("Name of the environment", found.name) if asks else found.name)
    require_environment(name)
    admitted = found.pythons()
    if not pythons:
        asked = asks and len(admitted) > 1
        pythons = tuple(_ask("Python", admitted[0]).split()) if asked else admitted[:1]
    _require_pythons(pythons, admitted)
    tools, promote = TOOLS, True
    if asks and not found.spec and not found.requirements:
        tools = tuple(_ask("What pip installs", " ".join(TOOLS)).split())
    elif asks:
        promote = click.confirm("Release by itself what is proven?", default=True, err=True)
    spec = found.spec or "environment.yml"
    return Start(name, pythons, spec, promote, found.dbt), tools


def _ask(question: str, proposed: str) -> str:
    return str(click.prompt(question, default=proposed, err=True))


def _require_pythons(pythons: tuple[str, ...], admitted: tuple[str, ...]) -> None:
    for each in pythons:
        if require_minor(each) not in admitted:
            raise InputError(
                f"Python {each} is not one that can be had: {', '.join(sorted(admitted))}.",
                "Choose one of these, or widen what the project asks for.",
            )


def _report(found: DirectoryContent, files: dict[Path, str], start: Start) -> None:
    """Say what was written, and print what to type next."""
    if found.made_of and not found.spec and found.root / start.spec in files:
        tell(f"{start.spec} asks for what stands in {', '.join(found.made_of)}")
    for each in found.left_out:
        tell(f"{each.place}: {each.problem} {each.remedy}")
    for path in files:
        tell(f"wrote {path}")
    if not files:
        tell(f"{found.root.absolute()} has a policy already; nothing was written")
    if found.root / "workspace.yaml" not in files and _loads_nothing(found.root):
        tell("workspace.yaml is yours; to see the environments in the web UI, add to load_from:")
        tell("  - python_module: {module_name: elt_env.definitions, location_name: elt_env}")
    click.echo("\n" + next_lines(_next(found.root, start)))


def _next(root: Path, start: Start) -> list[tuple[str, str]]:
    command, rows = own_command(sys.argv[0]), []
    if root.resolve() != Path.cwd():
        command = command if command == "elt-env" else str(Path(command).absolute())
        rows.append((f"cd {shlex.quote(str(root))}", "the project"))
    for each in (one for one in _LOCKS if (root / one).is_file()):
        target = "@".join((start.name, *start.pythons[:1]))
        rows.append((f"{command} adopt {each} --as {target}", "start from what it locks by now"))
    rows.append((f"{command} build {start.name}", "lock, install, prove and release it"))
    return [*rows, (web_ui(command), "the same in the web UI")]


def _loads_nothing(root: Path) -> bool:
    workspace = root / "workspace.yaml"
    return workspace.is_file() and "elt_env" not in workspace.read_text(errors="replace")
