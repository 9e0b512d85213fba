"""The environments of a `dg` project: what the `defs.yaml` of each of its components says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elt_env.errors import PolicyError
from elt_env.project.policy import ComponentPolicy, EnvironmentPolicy
from elt_env.project.toml_file import parse_toml
from elt_env.runtime.input_files import cause, read_text

COMPONENT = "elt_env.EnvironmentComponent"
"""What `type` says in the file of an environment."""

_FILES = ("defs.yaml", "defs.yml")
_CLASS = COMPONENT.rpartition(".")[2]
# https://docs.dagster.io/guides/build/components: what Dagster offers in every file
_TEMPLATE = re.compile(r"\{\{-?\s*(?:env|context|project_root)\b")
_OF_ALL = ComponentPolicy.model_fields.keys() - EnvironmentPolicy.model_fields.keys() - {"name"}


@dataclass(frozen=True)
class Component:
    """One environment as a component's file has it.

    Attributes:
        path: the file, a `defs.yaml`.
        name: of the environment.
        own: the keys of the environment.
        shared: the keys that hold for the whole project.
    """

    path: Path
    name: str
    own: Mapping[str, Any]
    shared: Mapping[str, Any]


def read_components(root: Path) -> tuple[Component, ...]:
    """Return the environments of the `dg` project in a directory, in the order of their paths.

    Raises:
        PolicyError: a file cannot be read, or is not one of a component.
    """
    folder = defs_folder(root)
    if folder is None:
        return ()
    paths = sorted(each for name in _FILES for each in folder.rglob(name))
    return tuple(component for path in paths for component in _read(path))


def merged(table: Mapping[str, Any], components: Sequence[Component]) -> dict[str, Any]:
    """Return the table of a policy with what components add to it.

    Raises:
        PolicyError: two of them say different things.
    """
    listed = table.get("environments", {})
    if not components or not isinstance(listed, dict):
        return dict(table)
    environments = dict(listed)
    result = {key: value for key, value in table.items() if key != "environments"}
    origin: dict[str, str] = dict.fromkeys(result, "[tool.elt-env] in pyproject.toml")
    for each in components:
        if each.name in environments:
            raise PolicyError(
                f"{each.path}: there is an environment '{each.name}' elsewhere as well.",
                "Give it another 'name' in its attributes, or keep one of the two.",
            )
        environments[each.name] = dict(each.own)
        for key, value in each.shared.items():
            if result.setdefault(key, value) != value:
                raise PolicyError(
                    f"{each.path}: '{key}' holds for the whole project, and {origin[key]} says "
                    "something else.",
                    "Write it in one place alone.",
                )
            origin.setdefault(key, str(each.path))
    return {**result, "environments": environments}


def defs_folder(root: Path) -> Path | None:
    """Return the directory that `dg` looks for definitions in; None where there is none.

    Raises:
        PolicyError: a pyproject.toml or dg.toml is no TOML.
    """
    config = _config(root)
    module = config.get("defs_module") or f"{config.get('root_module')}.defs"
    if "root_module" not in config and "defs_module" not in config:
        return None
    places = (root.joinpath(*above, *str(module).split(".")) for above in ((), ("src",)))
    return next((each for each in places if each.is_dir()), None)


def _config(root: Path) -> Mapping[str, Any]:
    """Return `[tool.dg.project]` of pyproject.toml, or `[project]` of dg.toml."""
    for name, keys in (("dg.toml", ("project",)), ("pyproject.toml", ("tool", "dg", "project"))):
        try:
            text = read_text(root / name)
        except (OSError, UnicodeDecodeError):
            continue
        if "root_module" in text or "defs_module" in text:
            found: Any = parse_toml(text, root / name)
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            if isinstance(found, dict):
                return found
    return {}


def _read(path: Path) -> Iterator[Component]:
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {cause(error)}.", "Correct it there.") from error
    if _CLASS not in text:
        return
    import yaml  # slow to load, and no component is there in most projects

    from elt_env.spec.marked_yaml import load_all

    try:
        documents = load_all(text)
    except yaml.YAMLError as error:
        place = str(error).replace("\n", " ")
        raise PolicyError(f"{path} is not valid YAML: {place}.", "Correct it there.") from error
    for each in documents:
        if isinstance(each, dict) and each.get("type") == COMPONENT:
            yield _component(path, each.get("attributes"))


def _component(path: Path, attributes: object) -> Component:
    if not isinstance(attributes, dict):
        raise PolicyError(
            f"{path} has no attributes.",
            "Write at least the spec and the Pythons: attributes: {spec: environment.yml, "
            "pythons: ['3.11']}",
        )
    for value in _texts(attributes):
        if _TEMPLATE.search(value):
            raise PolicyError(
                f"{path}: {value!r} is a template, which only Dagster could read.",
                "Write the value itself, or set the variable ELT_ENV_… for the key: docs/policy.md",
            )
    table = {str(key): value for key, value in attributes.items()}
    name = str(table.pop("name", None) or path.parent.name)
    shared = {key: table.pop(key) for key in [*table] if key in _OF_ALL}
    return Component(path, name, table, shared)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        within: Iterable[object] = value.values() if isinstance(value, dict) else value
        for each in within:
            yield from _texts(each)
