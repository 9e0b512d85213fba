"""Start: what a directory holds already, and the files that make it a project with environments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name

from elt_env.errors import InputError, PolicyError, SpecError
from elt_env.package.target import environment_name
from elt_env.project.toml_file import parse_toml
from elt_env.python.interpreters import list_interpreters
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import cause, read_text
from elt_env.spec.conda_bounds import admits_minor
from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.faults import Fault
from elt_env.spec.file import read_spec
from elt_env.spec.foreign.pyproject import (
    groups_left_out,
    project_requirements,
    python_bound,
)
from elt_env.spec.foreign.read import is_conda_list
from elt_env.spec.foreign.setup_py import SETUP_FILE
from elt_env.spec.foreign.setup_py import asked_of as asked_of_setup
from elt_env.spec.foreign.told import Listed
from elt_env.spec.marked_yaml import compose
from elt_env.start.files import TOOLS, WORKSPACE, DbtProject, Start, policy_text, spec_text

_PROJECT, _WORKSPACE = "pyproject.toml", "workspace.yaml"
_SPECS = ("environment.yml", "environment.yaml", "pixi.toml", "Pipfile")
_REQUIREMENTS = ("requirements.in", "requirements.txt")
_PYTHONS = ("3.12", "3.11", "3.13", "3.10", "3.14")
"""The minors that tools of the field support, the best supported first."""

_ENV_VAR = re.compile(r"""env_var\(\s*['"]([A-Za-z_][A-Za-z0-9_]*)['"]""")
_REQUIREMENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class DirectoryContent:
    """What a directory holds before it is made a project.

    Attributes:
        root: the directory.
        policy: the environments of its policy; None where it has no policy.
        spec: the name of a conda spec in it, or "".
        name: what its environment is called by default.
        python: conda's bound on Python, or "".
        requirements: what pip is asked for; empty when nothing says so, or the spec does.
        made_of: the files that say so.
        dbt: the dbt project that lies in it, or None.
        left_out: what these files say beside it.
    """

    root: Path
    policy: tuple[str, ...] | None
    spec: str
    name: str
    python: str = ""
    requirements: tuple[str, ...] = ()
    made_of: tuple[str, ...] = ()
    dbt: DbtProject | None = None
    left_out: tuple[Fault, ...] = ()

    def pythons(self) -> tuple[str, ...]:
        """Return the Python minors that are admitted: those of this machine first.

        Raises:
            SpecError: there is none.
        """
        admitted = [each for each in _PYTHONS if admits_minor(self.python, each)]
        if not admitted:
            raise SpecError(
                f"{self.spec or _PROJECT}: no Python from 3.10 to 3.14 satisfies "
                f"'python {self.python}'.",
                "Widen the bound.",
            )
        here = {each.minor for each in list_interpreters()[0]} if len(admitted) > 1 else set()
        return tuple(sorted(admitted, key=lambda each: each not in here))


def look(root: Path) -> DirectoryContent:
    """Return what a directory holds; one that does not exist yet holds nothing.

    Raises:
        InputError: it is no directory, or a file in it cannot be read.
        SpecError, PolicyError: a file in it cannot be used.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root} is no directory.", "Name one, or leave it out.")
    project = parse_toml(_text(root / _PROJECT), root / _PROJECT)
    policy = _at(project, "tool", "elt-env")
    listed = (
        None if policy is None else tuple(_at(project, "tool", "elt-env", "environments") or ())
    )
    lists = (each for each in _REQUIREMENTS if is_conda_list(_text(root / each)))
    specs = (*_SPECS, *([_PROJECT] if _at(project, "tool", "pixi") else []), *lists)
    spec = next((each for each in specs if (root / each).is_file()), "")
    dbt = _dbt_project(root)
    if spec:
        read = read_spec(root, spec)
        name = environment_name(read.name, (root / spec).absolute())
        return DirectoryContent(root, listed, spec, name, read.python, made_of=(spec,), dbt=dbt)
    text = _text(root / _PROJECT)
    found, left_out = project_requirements(text, _PROJECT)
    asked, made_of, more = _requirements(root, found, dbt)
    left_out = (*groups_left_out(text, _PROJECT), *left_out, *more)
    name = environment_name("", (root / _SPECS[0]).absolute())
    bound = python_bound(text, _PROJECT)
    return DirectoryContent(root, listed, "", name, bound, asked, made_of, dbt, left_out)


def files_of(
    found: DirectoryContent, start: Start, tools: Iterable[str] = TOOLS
) -> dict[Path, str]:
    """Return the content of the files that are missing, by their paths, in the order to write.

    The policy comes last: with it the directory is a project.

    Args:
        found: what is there.
        start: what was decided.
        tools: what pip installs where nothing in the directory says so.

    Raises:
        SpecError: what is asked for is no requirement, or cannot be locked.
        PolicyError: the pyproject.toml is written in a way that nothing can be added to.
    """
    files: dict[Path, str] = {}
    if not found.spec:
        text = spec_text(start.name, found.python, found.requirements or tuple(tools))
        parse_spec(text, start.spec, lambda path: read_text(found.root / path))
        files[found.root / start.spec] = text
    if not (found.root / _WORKSPACE).exists():
        files[found.root / _WORKSPACE] = WORKSPACE
    if found.policy is None:
        files[found.root / _PROJECT] = _with_policy(found.root / _PROJECT, policy_text(start))
    return files


def write(files: Mapping[Path, str]) -> None:
    """Write each file, whole or not at all.

    Raises:
        StorageError: the disk is full or not writable.
    """
    for path, content in files.items():
        write_atomically(path, content)


def _with_policy(path: Path, table: str) -> str:
    """Return the text of a pyproject.toml with one more table at its end."""
    before = _text(path)
    line_end = "\r\n" if "\r\n" in before else "\n"
    gap = line_end if not before or before.endswith("\n") else line_end * 2
    text = before + (gap if before else "") + table.replace("\n", line_end)
    try:
        parse_toml(text, path)
    except PolicyError as error:
        raise PolicyError(
            f"Nothing can be added to {path}: {error.__cause__}.",
            "Write its [tool] tables one by one, as in [tool.ruff], and not inline.",
        ) from error
    return text


def _requirements(
    root: Path, listed: Iterable[Listed], dbt: DbtProject | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Fault, ...]]:
    """Return what pip is asked for, the files that say so, and what of these is left out.

    Args:
        root: the directory.
        listed: what its pyproject.toml asks for.
        dbt: the dbt project in it, or None.
    """
    found = (_REQUIREMENT_NAME.match(text) for text, _ in listed)
    names = {canonicalize_name(each[0]) for each in found if each}
    made_of = [_PROJECT] if names else []
    made_of = made_of or [each for each in _REQUIREMENTS if (root / each).is_file()][:1]
    asked, left_out = [f"-r {each}" for each in made_of], tuple[Fault, ...]()
    if not made_of and (root / SETUP_FILE).is_file():
        told, left_out = asked_of_setup(_text(root / SETUP_FILE), SETUP_FILE)
        asked, made_of = [each for each, _ in told.pip], [SETUP_FILE]
        names = {canonicalize_name(each[0]) for each in map(_REQUIREMENT_NAME.match, asked) if each}
    for each, file in _tools_of(root, dbt):
        if made_of != ["requirements.txt"] and each not in names:
            asked.append(each)
            made_of.append(file)
    return tuple(asked), tuple(dict.fromkeys(made_of)), left_out


def _tools_of(root: Path, dbt: DbtProject | None) -> Iterator[tuple[str, str]]:
    if dbt is not None and dbt.adapter:
        yield dbt.adapter, "dbt_project.yml"
    if (root / "meltano.yml").is_file():
        yield "meltano", "meltano.yml"


def _dbt_project(root: Path) -> DbtProject | None:
    """Return the dbt project of a directory, with what its profile says."""
    path = root / "dbt_project.yml"
    if not path.is_file():
        return None
    text = _text(path)
    content = _yaml(path, text)
    name = re.sub(r"[^a-z0-9_]+", "_", str(content.get("name") or "dbt").lower()).strip(
        "_0123456789"
    )
    own, home = root / "profiles.yml", Path.home() / ".dbt" / "profiles.yml"
    profile = own if own.is_file() else home
    said = _text(profile) if profile.is_file() else ""
    adapter = _adapter(_yaml(profile, said).get(content.get("profile")))
    variables = set(_ENV_VAR.findall(text + said))
    return DbtProject(f"{name or 'dbt'}_project", adapter, own.is_file(), tuple(sorted(variables)))


def _adapter(profile: object) -> str:
    """Return the adapter of a profile's target, or of its only output."""
    outputs = _at(profile, "outputs")
    if not isinstance(outputs, dict) or not outputs:
        return ""
    wanted = _at(profile, "target")
    output = outputs.get(wanted) if _is_text(wanted) else None
    kind = _at(output or next(iter(outputs.values())), "type")
    return f"dbt-{kind}" if _is_text(kind) else ""


def _yaml(path: Path, text: str) -> dict[Any, Any]:
    try:
        compose(text)  # which knows limits
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = str(error).replace("\n", " ")
        raise InputError(f"{path} is not valid YAML: {place}.", "Correct it there.") from error
    return content if isinstance(content, dict) else {}


def _text(path: Path) -> str:
    """Return the content of a file, "" where there is none."""
    try:
        return read_text(path)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {cause(error)}.", "Make it a readable UTF-8 text file."
        ) from error


def _at(content: object, *keys: str) -> Any:  # noqa: ANN401  # as TOML and YAML hold it
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _is_text(content: object) -> bool:
    return isinstance(content, str) and bool(content.strip())
