"""`wheelhouse`: the wheels that no index has, built once for the locks of a target."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from elt_env.cli.lock import NAME, PYTHON, TARGET_OR_FILE, file_candidates, refuse_options
from elt_env.cli.progress import teller
from elt_env.cli.targets import open_target
from elt_env.environment.locked_files import newest_for_builds
from elt_env.errors import InputError
from elt_env.lock.from_file import Candidate, first_answer
from elt_env.lock.wheelless import without_wheel
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import wheelhouse_of
from elt_env.machine.process import Say
from elt_env.machine.scratch import scratch_directory
from elt_env.package.canonical import digest_of
from elt_env.package.target import Target
from elt_env.pip import ResolveRequest
from elt_env.pip.direct_wheels import unpack_source
from elt_env.pip.locked_build import BuildTools, WheelBuild
from elt_env.pip.wheelhouse import Wheelhouse
from elt_env.project.spec_paths import is_file, typed_for
from elt_env.python.interpreters import find_for_venv
from elt_env.runtime.files import sha256_of, writing
from elt_env.tools import Tools, open_tools

_SDISTS = (".tar.gz", ".zip")
# What builds and tools leave in a project.
_DERIVED = ("build", "dist", "target", "__pycache__", "*.egg-info", ".venv", "venv", ".elt_env")


@dataclass(frozen=True)
class _Source:
    """What a wheel is built of: a project's directory, an sdist, or the wheel itself."""

    origin: str
    path: Path


@click.command()
@TARGET_OR_FILE
@click.argument("sources", metavar="[SOURCE]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to", "directory", metavar="DIR", help="Where to; else the policy's, or 'wheelhouse'."
)
@PYTHON
@NAME
def wheelhouse(
    name: str,
    sources: tuple[Path, ...],
    directory: str | None,
    python: str | None,
    called: str | None,
) -> None:
    """Build what has no wheel for TARGET, for its locks to take.

    SOURCE is the directory of a project of your own, an sdist, or a wheel, which is taken as it is.
    Without any, it is what the spec needs and no index has a wheel of. For a FILE, as for build.

    Each is built once, for the Python of TARGET, in a venv that holds its build requirements and
    nothing else. These are locked with their hashes, in wheelhouse.json. A wheel with native code
    gets the libraries that it needs (auditwheel). What this machine lacks for a build is named.

    DIR is one for --find-links; its `simple` is a package index for any web server.

    \b
    Examples:
      elt-env wheelhouse elt@3.11
      elt-env wheelhouse path/to/environment.yml
      elt-env wheelhouse elt@3.11 ./our-extension
      elt-env wheelhouse elt@3.11 dist/fast-1.0.tar.gz --to /srv/wheels
    """
    say = teller()
    candidates = _candidates(name, python, called, say)
    one, found = candidates[0], [*_given(sources)]
    if not sources:
        one, found = _wheelless(candidates, say)
    target, tools = one.target, one.tools
    if not found:
        click.echo(f"Everything that {target.name} needs has a wheel.")
        return
    place = wheelhouse_of(tools.policy, tools.project.root)
    house = Wheelhouse(tools.project.root / directory if directory else place)
    for each in found:
        path = _have(each, target, tools, house, say)
        click.echo(f"{sha256_of(path)}  {path}")
    if house.root == place:
        typed = typed_for(target, tools.project.spec(target.environment), tools.project)
        locked = tools.store.pointer(target) is not None
        command = f"relock {target.name}" if locked else f"build {typed}"
        click.echo(f"Locks take from it: elt-env {command}")
    elif tools.policy.wheelhouse is None:
        click.echo(f'Let locks take from it: wheelhouse = "{directory}" in {tools.project.table}')


def _candidates(
    name: str, python: str | None, called: str | None, say: Say
) -> tuple[Candidate[Tools], ...]:
    """Return what a person named, a target or a file, with the Pythons to try."""
    if is_file(name):
        return file_candidates(name, python, called, say)
    refuse_options(name, python, called)
    return (Candidate(*open_target(name)),)


def _given(sources: tuple[Path, ...]) -> Iterator[_Source]:
    for each in sources:
        path = each.absolute()
        if path.is_dir():
            yield _Source(str(each), path)
        elif path.is_file() and path.name.endswith((".whl", *_SDISTS)):
            yield _Source(each.name, path)
        else:
            raise InputError(
                f"{each} is no directory, sdist or wheel.",
                "Name a project's directory, or a file that ends with .tar.gz, .zip or .whl.",
            )


def _wheelless(
    candidates: tuple[Candidate[Tools], ...], say: Say
) -> tuple[Candidate[Tools], list[_Source]]:
    """Return the first candidate that can be locked with sdists, and these."""

    def ask(each: Candidate[Tools]) -> tuple[Package, ...]:
        return without_wheel(each.target, each.tools.project, open_tools, say)

    one, sdists = first_answer(candidates, ask, say)
    fetch = one.tools.downloads.fetch
    return one, [
        _Source(f"{each.name} {each.version}", fetch(each.url, each.sha256, say)) for each in sdists
    ]


def _have(source: _Source, target: Target, tools: Tools, house: Wheelhouse, say: Say) -> Path:
    """Return the wheel of a source in a wheelhouse, built now where it is not there."""
    if source.path.suffix == ".whl":
        return house.add(source.path)
    with scratch_directory("wheel") as name:
        place = Path(name)
        project = _copied(source.path, place / "source")
        key = digest_of([_content(project), target.python, target.platform])
        known = house.find(key)
        if known is not None:
            say(f"wheelhouse: {known.name} is there, built of {source.origin}")
            return known
        python = find_for_venv(target.python)
        policy = tools.policy
        newest = tools.store.now().replace(microsecond=0) - policy.cooldown
        asked = ResolveRequest(
            requirements=(),
            python=python.version,
            exclude_newer=newest_for_builds(newest if policy.cooldown else None, policy),
            undated=policy.undated_releases,
        )
        builders = BuildTools(
            *(tools.resolver_named("uv", tools.indexes), tools.installer, tools.downloads),
            *(tools.indexes, policy.tool_limit.total_seconds()),
        )
        built = WheelBuild(project, source.origin, python, asked, builders, place, say).wheel()
        return house.add(built.wheel, key, source.origin, built.requirements)


def _copied(source: Path, place: Path) -> Path:
    """Return a copy of a project that a build may write into."""
    if source.is_file():
        return unpack_source(source, place)
    with writing(place):
        shutil.copytree(source, place, symlinks=True, ignore=shutil.ignore_patterns(*_DERIVED))
    return place


def _content(project: Path) -> dict[str, str]:
    """Return the hash of every file of a project by its path, but for those of git."""
    files = (each for each in project.rglob("*") if each.is_file() and not each.is_symlink())
    names = {each.relative_to(project).as_posix(): each for each in files}
    return {name: sha256_of(each) for name, each in names.items() if not name.startswith(".git/")}
